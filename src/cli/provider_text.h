/* The files of src/cli/templates, as lines; made from them when the tree is built. */
#ifndef CLI_PROVIDER_TEXT_H
#define CLI_PROVIDER_TEXT_H

extern const char *const template_plain_c[], *const template_blocking_c[],
                                                 *const template_login_c[],
                                                     *const template_plain_script[],
                                                         *const template_blocking_script[],
                                                             *const template_login_script[],
                                                                 *const template_Makefile[],
                                                                     *const template_page_pod[];

#endif
