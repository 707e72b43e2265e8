#include "fetch/download.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

namespace lmsb::fetch {
namespace {

// libcurl, loaded when something is downloaded and not before: it brings some thirty libraries that no other request
// of the daemon, and no command, has a use for.
struct Curl {
  decltype(&::curl_global_init) global_init = nullptr;
  decltype(&::curl_easy_init) init = nullptr;
  decltype(&::curl_easy_cleanup) cleanup = nullptr;
  decltype(&::curl_easy_setopt) setopt = nullptr;
  decltype(&::curl_easy_perform) perform = nullptr;
  decltype(&::curl_easy_getinfo) getinfo = nullptr;
  decltype(&::curl_easy_strerror) strerror = nullptr;

  template <class Function>
  static bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    return function != nullptr;
  }

  // Never unloaded: other libraries keep references to it.
  static const Curl* load() {
    static const Curl* const loaded = []() -> const Curl* {
      void* const library = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
      static Curl curl;
      const bool is_whole =
          library != nullptr && find(library, "curl_global_init", curl.global_init) &&
          find(library, "curl_easy_init", curl.init) && find(library, "curl_easy_cleanup", curl.cleanup) &&
          find(library, "curl_easy_setopt", curl.setopt) && find(library, "curl_easy_perform", curl.perform) &&
          find(library, "curl_easy_getinfo", curl.getinfo) && find(library, "curl_easy_strerror", curl.strerror);
      return is_whole && curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? &curl : nullptr;
    }();
    return loaded;
  }
};

// Sets the options of one transfer. None is left out silently: one that this libcurl does not know may be what bounds
// it.
class Options {
 public:
  Options(const Curl& curl, CURL* handle) : curl_(curl), handle_(handle) {}
  template <class Value>
  void set(CURLoption option, Value value) {
    if (failure_ == CURLE_OK) failure_ = curl_.setopt(handle_, option, value);
  }
  // The same by an option of older ones, where this libcurl does not know the newer.
  template <class Value>
  void set_or_older(CURLoption option, Value value, CURLoption older, long older_value) {
    if (failure_ == CURLE_OK) failure_ = curl_.setopt(handle_, option, value);
    if (failure_ == CURLE_UNKNOWN_OPTION) failure_ = curl_.setopt(handle_, older, older_value);
  }
  // The first one's; CURLE_OK: all are set.
  CURLcode failure() const { return failure_; }

 private:
  const Curl& curl_;
  CURL* handle_;
  CURLcode failure_ = CURLE_OK;
};

struct Transfer {
  int file;
  std::uint64_t written = 0;
  std::uint64_t limit;
  Reach reach;
  int write_error = 0;
  bool is_refused = false;  // something beyond the reach was to be connected to
  const std::function<bool(std::uint64_t, std::uint64_t)>* progress;
};

std::size_t on_data(const char* data, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  std::size_t left = size * count;
  if (transfer.written + left > transfer.limit) return transfer.write_error = EFBIG, 0;
  while (left > 0) {
    const ssize_t n = ::write(transfer.file, data, left);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return transfer.write_error = errno, 0;
    data += n;
    left -= static_cast<std::size_t>(n);
    transfer.written += static_cast<std::uint64_t>(n);
  }
  return size * count;
}

int on_progress(void* context, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<Transfer*>(context);
  return (*transfer.progress)(static_cast<std::uint64_t>(now), static_cast<std::uint64_t>(total)) ? 0 : 1;
}

bool is_loopback(const in_addr& address) { return ntohl(address.s_addr) >> 24U == 127; }
bool is_loopback(const in6_addr& address) { return std::memcmp(&address, &in6addr_loopback, sizeof address) == 0; }

bool is_loopback(const curl_sockaddr& to) {
  sockaddr_storage address{};
  if (to.addrlen > sizeof address) return false;
  std::memcpy(&address, static_cast<const void*>(&to.addr), to.addrlen);  // longer than its declared type
  if (to.family == AF_INET) return is_loopback(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  return to.family == AF_INET6 && is_loopback(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

// The last word about the reach: this is the address that would be connected to.
curl_socket_t open_loopback_socket(void* context, curlsocktype, curl_sockaddr* to) {
  if (is_loopback(*to)) return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  static_cast<Transfer*>(context)->is_refused = true;
  return CURL_SOCKET_BAD;
}

// The host of `url` as text, without brackets.
std::string_view host_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  url.remove_prefix(scheme == std::string_view::npos ? 0 : scheme + 3);
  url = url.substr(0, url.find_first_of("/?#\\"));
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  if (url.starts_with('[')) return url.substr(1, url.find(']') - 1);
  return url.substr(0, url.find(':'));
}

// Whether `host` means loopback without asking anybody.
bool is_loopback_name(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return is_loopback(v4);
  if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) return is_loopback(v6);
  return host == "localhost";
}

std::string without_query(const std::string& url) { return url.substr(0, url.find('?')); }

Error beyond_reach(const std::string& url) {
  return Error(ErrorCode::permission_denied, "download " + without_query(url))
      .with_cause("this daemon is offline: it connects to nothing beyond loopback")
      .with_slug("offline")
      .with_hint("bring the file here by other means and name its path, or start the daemon without --offline");
}

Error to_error(CURLcode code, const Transfer& transfer, const std::string& url, long status, const Curl& curl) {
  const std::string what = "download " + without_query(url);
  // A redirect that is not followed may lead anywhere.
  if (transfer.is_refused || (code == CURLE_TOO_MANY_REDIRECTS && transfer.reach == Reach::loopback))
    return beyond_reach(url);
  if (transfer.write_error == EFBIG)
    return Error(ErrorCode::resource_exhausted, what).with_cause("larger than allowed");
  if (transfer.write_error != 0) return Error::from_errno(transfer.write_error, what + ": write");
  switch (code) {
    case CURLE_HTTP_RETURNED_ERROR:
      return Error(ErrorCode::unavailable, what).with_cause("the server answered " + std::to_string(status));
    case CURLE_OPERATION_TIMEDOUT: return Error(ErrorCode::deadline_exceeded, what).with_cause("the server stalled");
    case CURLE_ABORTED_BY_CALLBACK: return Error(ErrorCode::cancelled, what).with_cause("cancelled");
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Error(ErrorCode::invalid_argument, what).with_cause("not an http or https URL");
    default: return Error(ErrorCode::unavailable, what).with_cause(curl.strerror(code));
  }
}

// By text since 7.85; before, by numbers, whose names are deprecated: CURLOPT_PROTOCOLS, CURLOPT_REDIR_PROTOCOLS.
void keep_to_http(Options& options) {
  constexpr long kHttp = CURLPROTO_HTTP | CURLPROTO_HTTPS;
  options.set_or_older(CURLOPT_PROTOCOLS_STR, "http,https", static_cast<CURLoption>(181), kHttp);
  options.set_or_older(CURLOPT_REDIR_PROTOCOLS_STR, "http,https", static_cast<CURLoption>(182), kHttp);
}

void keep_to_loopback(Options& options, Transfer& transfer) {
  options.set(CURLOPT_OPENSOCKETFUNCTION, &open_loopback_socket);
  options.set(CURLOPT_OPENSOCKETDATA, &transfer);
  options.set(CURLOPT_PROXY, "");      // not the environment's either
  options.set(CURLOPT_MAXREDIRS, 0L);  // to another host its name would be looked up first
}

void set_options(Options& options, const std::string& url, const DownloadLimits& limits, Transfer& transfer) {
  options.set(CURLOPT_URL, url.c_str());
  keep_to_http(options);
  options.set(CURLOPT_FOLLOWLOCATION, 1L);
  options.set(CURLOPT_MAXREDIRS, 10L);
  options.set(CURLOPT_FAILONERROR, 1L);
  options.set(CURLOPT_NOSIGNAL, 1L);
  options.set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(limits.connect_seconds));
  options.set(CURLOPT_LOW_SPEED_LIMIT, 1024L);
  options.set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits.stall_seconds));
  options.set(CURLOPT_WRITEFUNCTION, &on_data);
  options.set(CURLOPT_WRITEDATA, &transfer);
  options.set(CURLOPT_NOPROGRESS, 0L);
  options.set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  options.set(CURLOPT_XFERINFODATA, &transfer);
  if (limits.reach == Reach::loopback) keep_to_loopback(options, transfer);
}

}  // namespace

Status download(const std::string& url, int file, const DownloadLimits& limits,
                const std::function<bool(std::uint64_t, std::uint64_t)>& progress) {
  if (limits.reach == Reach::loopback && !is_loopback_name(std::string(host_of(url)))) return beyond_reach(url);
  const Curl* const curl = Curl::load();
  if (curl == nullptr)
    return Error(ErrorCode::unsupported, "download " + without_query(url) + ": libcurl is not installed")
        .with_hint("sudo apt-get install libcurl4");
  const std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> handle(curl->init(), curl->cleanup);
  if (!handle) return Error(ErrorCode::internal, "download: curl_easy_init failed");
  Transfer transfer{file, 0, limits.size.count(), limits.reach, 0, false, &progress};
  CURL* const c = handle.get();
  Options options(*curl, c);
  set_options(options, url, limits, transfer);
  if (options.failure() != CURLE_OK)
    return Error(ErrorCode::unsupported, "download " + without_query(url))
        .with_cause(std::string("this libcurl cannot be kept to what is allowed: ") + curl->strerror(options.failure()))
        .with_hint("install a newer libcurl, or bring the file here by other means and name its path");
  const CURLcode code = curl->perform(c);
  long status = 0;
  curl->getinfo(c, CURLINFO_RESPONSE_CODE, &status);
  return code == CURLE_OK ? Status() : Status(to_error(code, transfer, url, status, *curl));
}

}  // namespace lmsb::fetch
