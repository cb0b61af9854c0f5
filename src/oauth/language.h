/* The languages of the pages: English and Chinese, chosen by Accept-Language.  Every text stands in
 * one table, once in each language; {1}, {2} … stand for what a page puts in. */
#ifndef OAUTH_LANGUAGE_H
#define OAUTH_LANGUAGE_H

#include "util/buf.h"

enum language { LANGUAGE_EN = 0, LANGUAGE_ZH, LANGUAGE_COUNT };

/* RFC 9110 section 12.5.4; English when nothing that we have is asked for. */
enum language language_choose(struct str accept_language);
/* For the attribute `lang`. */
const char *language_tag(enum language l);

/* X(symbol, English, Chinese) */
/* It counts Chinese characters as it likes: */
/* clang-format off */
#define TEXTS(X)                                                                                   \
  X(TEXT_HUB, "Sign-in for {1}", "{1} 的登录")                                                     \
  X(TEXT_REQUEST_ID, "Request {1}", "请求编号 {1}")                                                \
  X(TEXT_WHAT_NOW, "What you can do", "您可以这样做")                                              \
  X(TEXT_BACK, "Go back to the application", "返回应用程序")                                       \
  X(TEXT_AGAIN, "Sign in again", "重新登录")                                                       \
  X(TEXT_ANOTHER, "Sign in with another account", "使用其他账户登录")                              \
  X(TEXT_UNNAMED, "An application without a name", "一个未命名的应用程序")                         \
  /* the consent page */                                                                           \
  X(TEXT_CONSENT_TITLE, "Allow access to {1}?", "允许访问 {1} 吗？")                               \
  X(TEXT_CONSENT_LEAD, "{1} asks to use {2} in your name.", "{1} 请求以您的名义使用 {2}。")        \
  X(TEXT_SIGNED_IN_AS_ANOTHER,                                                                     \
    "You have signed in as somebody else than the last time. Please decide again.",                \
    "您这次登录的身份与上次不同，请重新确认。")                                                    \
  X(TEXT_APPLICATION, "Application", "应用程序")                                                   \
  X(TEXT_SERVICE, "Service", "服务")                                                               \
  X(TEXT_ADDRESS, "Address", "地址")                                                               \
  X(TEXT_GOES_TO, "Afterwards you are sent to", "之后您将被转到")                                  \
  X(TEXT_FROM_ADMINISTRATOR, "Set up by the administrator of this hub.", "由此网关的管理员配置。") \
  X(TEXT_APPROVED, "Approved by the administrator of this hub.", "已由此网关的管理员批准。")       \
  X(TEXT_FROM_DOMAIN, "Described by {1}, which answers for its name.",                             \
    "由 {1} 描述，该域名对其名称负责。")                                                           \
  X(TEXT_UNVERIFIED,                                                                               \
    "Nobody has verified this name: any application can register under it. Go on only if you "     \
    "have just started this yourself.",                                                            \
    "此名称未经验证：任何应用程序都可以用它注册。仅当这是您刚刚自己发起的操作时才继续。")          \
  X(TEXT_LOOPBACK,                                                                                 \
    "The answer goes to a program on your own computer. Any program there can receive it: go "     \
    "on only if you have just started one that asks for this.",                                    \
    "结果将发送给您计算机上的程序，而其中任何程序都可能收到。仅当您刚刚启动了提出此请求的程序"     \
    "时才继续。")                                                                                  \
  X(TEXT_PRIVATE_SCHEME,                                                                           \
    "The answer goes to whichever application on this device opens {1} links. Go on only if "      \
    "you have just started this there.",                                                           \
    "结果将发送给此设备上打开 {1} 链接的应用程序。仅当您刚刚在其中发起了此操作时才继续。")         \
  X(TEXT_SCOPES, "What it may do", "它可以做什么")                                                 \
  X(TEXT_SCOPES_FIXED, "Needed for the service itself:", "使用此服务所必需：")                     \
  X(TEXT_SCOPES_NONE, "Use the service, as you may.", "在您的权限范围内使用此服务。")              \
  X(TEXT_NOT_OFFERED,                                                                              \
    "It has also asked for what is not given here:", "它还请求了此处不提供的权限：")               \
  X(TEXT_WITHHELD,                                                                                 \
    "It has also asked for what the account that signed in here last may not have:",               \
    "它还请求了上次在此登录的账户不能拥有的权限：")                                                \
  X(TEXT_IF_ENTITLED, "only if your account may have it", "仅当您的账户有此权限时")                \
  X(TEXT_REMEMBER, "Do not ask again for this application in this browser",                        \
    "在此浏览器中不再就此应用程序询问")                                                            \
  X(TEXT_ALLOW, "Allow and sign in", "允许并登录")                                                 \
  X(TEXT_ALLOW_WITH, "Allow and sign in with {1}", "允许并通过 {1} 登录")                          \
  X(TEXT_CANCEL, "Cancel", "取消")                                                                 \
  X(TEXT_CANCEL_HINT, "If you did not start this yourself, cancel.",                               \
    "如果这不是您自己发起的，请取消。")                                                            \
  /* after the sign-in, when not all of it could be given */                                        \
  X(TEXT_TOLD_TITLE, "You are signed in", "您已登录")                                              \
  X(TEXT_TOLD, "The application has also asked for what your account may not have:",               \
    "该应用程序还请求了您的账户不能拥有的权限：")                                                  \
  X(TEXT_TOLD_HINT,                                                                                \
    "It goes on without that. If you need more, ask the administrator.",                           \
    "它将在没有这些权限的情况下继续。如需更多权限，请联系管理员。")                                           \
  /* the page between */                                                                           \
  X(TEXT_MOVING_TITLE, "One moment", "请稍候")                                                     \
  X(TEXT_MOVING_LOGIN, "You are being sent to the sign-in of {1}.", "正在转到 {1} 的登录页面。")   \
  X(TEXT_MOVING_BACK, "You are being sent back to the application.", "正在返回应用程序。")         \
  X(TEXT_MOVING_HINT,                                                                              \
    "If nothing happens in a few seconds, use this link. If the application is already open, "     \
    "you can close this page.",                                                                    \
    "如果几秒钟内没有反应，请使用此链接。如果应用程序已经打开，可以关闭此页面。")                  \
  X(TEXT_GO_ON, "Go on", "继续")                                                                   \
  /* errors: a title, what happened, what to do */                                                 \
  X(ERROR_REQUEST, "This request cannot be understood", "无法理解此请求")                          \
  X(ERROR_REQUEST_WHY, "The application has sent a sign-in request that is not well formed: {1}.", \
    "应用程序发送的登录请求格式不正确：{1}。")                                                     \
  X(ERROR_REQUEST_NOW,                                                                             \
    "Start again in the application. If it happens again, tell its maker the request number "      \
    "below.",                                                                                      \
    "请在应用程序中重新开始。如果再次发生，请把下面的请求编号告知其开发者。")                      \
  X(ERROR_METHOD, "This page is not opened this way", "此页面不能这样打开")                        \
  X(ERROR_METHOD_WHY, "This address belongs to a sign-in that is in progress.",                    \
    "此地址属于一个正在进行的登录。")                                                              \
  X(ERROR_CLIENT, "This hub does not know the application", "此网关不认识该应用程序")              \
  X(ERROR_CLIENT_WHY,                                                                              \
    "There is no registration of {1} here, or not any more: it was removed, or was made at "       \
    "another hub.",                                                                                \
    "这里没有（或不再有）{1} 的注册：它已被删除，或是在另一个网关上注册的。")                      \
  X(ERROR_CLIENT_NOW,                                                                              \
    "Remove this server in the application and add it again: it then registers anew. In some "     \
    "applications this is called to disconnect, to clear the authentication, or to sign out.",     \
    "请在应用程序中删除此服务器后重新添加，它会重新注册。有些应用程序称之为断开连接、清除身份"     \
    "验证或退出登录。")                                                                            \
  X(ERROR_CLIENT_REFUSED, "The application cannot be accepted", "无法接受该应用程序")              \
  X(ERROR_CLIENT_REFUSED_WHY, "What {1} says about itself is not acceptable: {2}",                 \
    "{1} 对自身的描述不可接受：{2}")                                                               \
  X(ERROR_CLIENT_REFUSED_NOW, "Only the maker of the application can change this.",                \
    "只有该应用程序的开发者可以解决此问题。")                                                      \
  X(ERROR_REDIRECT, "The application asks to be answered elsewhere",                               \
    "应用程序要求把结果发送到别处")                                                                \
  X(ERROR_REDIRECT_WHY,                                                                            \
    "It wants the answer at {1}, which is not an address that it has registered. You are not "     \
    "sent there.",                                                                                 \
    "它要求把结果发送到 {1}，但这不是它注册过的地址。您不会被转到那里。")                          \
  X(ERROR_REDIRECT_MISSING_WHY, "It does not say to which of its addresses the answer is to go.",  \
    "它没有说明结果应发送到它的哪个地址。")                                                        \
  X(ERROR_REDIRECT_REFUSED_WHY, "It wants the answer at {1}. {2}", "它要求把结果发送到 {1}。{2}")  \
  X(ERROR_REDIRECT_NOW,                                                                            \
    "Close this page. If you have started this yourself, remove the server in the "                \
    "application and add it again.",                                                               \
    "请关闭此页面。如果这是您自己发起的，请在应用程序中删除此服务器后重新添加。")                  \
  X(ERROR_TARGET, "Which service?", "哪个服务？")                                                  \
  X(ERROR_TARGET_WHY,                                                                              \
    "The application does not say which service it wants to use, and there are several here.",     \
    "应用程序没有说明要使用哪个服务，而这里有多个服务。")                                          \
  X(ERROR_TARGET_NOW, "Give the application the address of one of these services:",                \
    "请在应用程序中填写以下服务之一的地址：")                                                      \
  X(ERROR_EXPIRED, "This page has expired", "此页面已过期")                                        \
  X(ERROR_EXPIRED_WHY, "It was open for too long, or belongs to another hub.",                     \
    "它打开的时间过长，或属于另一个网关。")                                                        \
  X(ERROR_START_AGAIN, "Go back to the application and start to sign in again.",                   \
    "请返回应用程序，重新开始登录。")                                                              \
  X(ERROR_USED, "This sign-in is already over", "此登录已经结束")                                  \
  X(ERROR_USED_WHY, "Its answer was used before: each is good for one time.",                      \
    "其结果已被使用过：每个结果只能使用一次。")                                                    \
  X(ERROR_USED_NOW,                                                                                \
    "If the application is signed in, close this page. Otherwise start to sign in again "          \
    "there.",                                                                                      \
    "如果应用程序已经登录，请关闭此页面；否则请在那里重新开始登录。")                              \
  X(ERROR_BROWSER, "This sign-in was not started in this browser", "此登录不是在此浏览器中开始的") \
  X(ERROR_BROWSER_WHY,                                                                             \
    "The browser that began it has a cookie that this one does not show. Somebody may have "       \
    "sent you this link.",                                                                         \
    "开始登录的浏览器持有一个 Cookie，而此浏览器没有出示它。此链接可能是别人发给您的。")           \
  X(ERROR_BROWSER_NOW,                                                                             \
    "If you have started this yourself: allow cookies for this site, stay in one browser, "        \
    "and start again in the application. Otherwise close this page.",                              \
    "如果这是您自己发起的：请允许此网站使用 Cookie，始终使用同一浏览器，并在应用程序中重新开"      \
    "始。否则请关闭此页面。")                                                                      \
  X(ERROR_FORGED, "The answer did not come from our page", "提交并非来自我们的页面")               \
  X(ERROR_FORGED_WHY, "Your browser says that another site has sent this form.",                   \
    "您的浏览器表明此表单是由另一个网站发送的。")                                                  \
  X(ERROR_DENIED, "This account may not sign in here", "此账户不能在此登录")                       \
  X(ERROR_DENIED_WHY, "{1} says who you are, and the administrator has not let this account in.",  \
    "{1} 确认了您的身份，但管理员未允许此账户。")                                                  \
  X(ERROR_DENIED_NOW, "Use another account, or ask the administrator.",                            \
    "请使用其他账户，或联系管理员。")                                                              \
  X(ERROR_NOTHING, "Nothing is left that you could allow", "没有您可以允许的权限")                 \
  X(ERROR_NOTHING_WHY, "You have signed in, but may not have any of what {1} asks for.",           \
    "您已登录，但不能拥有 {1} 请求的任何权限。")                                                   \
  X(ERROR_LOGIN, "The sign-in did not work", "登录未成功")                                         \
  X(ERROR_LOGIN_WHY, "{1} did not accept the answer that your browser brought.",                   \
    "{1} 未接受您的浏览器带来的结果。")                                                            \
  X(ERROR_UNAVAILABLE, "The sign-in does not work at the moment", "暂时无法登录")                  \
  X(ERROR_UNAVAILABLE_WHY, "{1} cannot be reached, or does not answer in time.",                   \
    "{1} 无法访问，或未及时响应。")                                                                \
  X(ERROR_UNAVAILABLE_NOW, "Try again in a minute.", "请一分钟后再试。")                           \
  X(ERROR_OURS, "This hub cannot do this at the moment", "此网关暂时无法处理")                     \
  X(ERROR_OURS_WHY, "It is not your fault. The administrator finds the reason in the log.",        \
    "这不是您的问题。管理员可以在日志中找到原因。")
/* clang-format on */

enum text {
#define X(symbol, en, zh) symbol,
  TEXTS(X)
#undef X
      TEXT_COUNT
};

/* As it stands in the table, for tests. */
const char *text_raw(enum language l, enum text t);
/* The text as HTML; ARGS (N of them, at most 9) are escaped and isolated (<bdi>).
 */
int text_html(struct buf *b, enum language l, enum text t, const struct str *args, size_t n);
/* The same for <title>, which has no elements in it. */
int text_title(struct buf *b, enum language l, enum text t, const struct str *args, size_t n);

#endif
