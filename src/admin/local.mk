# src/admin
