# What an administrator gets.  A file in confdir is theirs as soon as it is there: never overwritten.
EXTRA_DIST += debian/control debian/rules debian/changelog debian/copyright debian/source/format \
  Containerfile debian/mcpauth.install debian/mcpauth-cli.install debian/libmcpauth-dev.install \
  debian/mcpauth.postinst debian/mcpauth.postrm
EXTRA_DIST += etc/mcpauth.d/hub.conf etc/systemd/mcpauth.service.in etc/systemd/sysusers.conf \
  etc/systemd/tmpfiles.conf
CLEANFILES += etc/systemd/mcpauth.service

systemdunitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
nodist_systemdunit_DATA = etc/systemd/mcpauth.service

etc/systemd/mcpauth.service: etc/systemd/mcpauth.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc/systemd && $(SED) -e 's|@sbindir[@]|$(sbindir)|' \
	  -e 's|@bindir[@]|$(bindir)|' $(srcdir)/etc/systemd/mcpauth.service.in > $@.tmp && mv $@.tmp $@

install-data-local: install-etc
install-etc:
	$(MKDIR_P) '$(DESTDIR)$(confdir)' '$(DESTDIR)$(sysusersdir)' '$(DESTDIR)$(tmpfilesdir)'
	test -e '$(DESTDIR)$(confdir)/hub.conf' || \
	  $(INSTALL_DATA) $(srcdir)/etc/mcpauth.d/hub.conf '$(DESTDIR)$(confdir)/hub.conf'
	$(INSTALL_DATA) $(srcdir)/etc/systemd/sysusers.conf '$(DESTDIR)$(sysusersdir)/mcpauth.conf'
	$(INSTALL_DATA) $(srcdir)/etc/systemd/tmpfiles.conf '$(DESTDIR)$(tmpfilesdir)/mcpauth.conf'

# An untouched hub.conf goes with the rest; a changed one is the administrator's.
uninstall-local: uninstall-etc
uninstall-etc:
	rm -f '$(DESTDIR)$(sysusersdir)/mcpauth.conf' '$(DESTDIR)$(tmpfilesdir)/mcpauth.conf'
	if cmp -s $(srcdir)/etc/mcpauth.d/hub.conf '$(DESTDIR)$(confdir)/hub.conf'; then \
	  rm -f '$(DESTDIR)$(confdir)/hub.conf'; fi
.PHONY: install-etc uninstall-etc

# distcheck installs nothing outside its own folder.
AM_DISTCHECK_CONFIGURE_FLAGS = --with-confdir=$$dc_install_base/etc/mcpauth.d
