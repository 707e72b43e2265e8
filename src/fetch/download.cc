#include "fetch/download.h"

#include <cerrno>
#include <dlfcn.h>
#include <memory>
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

struct Transfer {
  int file;
  std::uint64_t written = 0;
  std::uint64_t limit;
  int write_error = 0;
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

std::string without_query(const std::string& url) { return url.substr(0, url.find('?')); }

Error to_error(CURLcode code, const Transfer& transfer, const std::string& url, long status, const Curl& curl) {
  const std::string what = "download " + without_query(url);
  if (transfer.write_error == EFBIG) return Error(ErrorCode::resource_exhausted, what + ": larger than allowed");
  if (transfer.write_error != 0) return Error::from_errno(transfer.write_error, what + ": write");
  switch (code) {
    case CURLE_HTTP_RETURNED_ERROR:
      return Error(ErrorCode::unavailable, what + ": the server answered " + std::to_string(status));
    case CURLE_OPERATION_TIMEDOUT: return Error(ErrorCode::deadline_exceeded, what + ": the server stalled");
    case CURLE_ABORTED_BY_CALLBACK: return Error(ErrorCode::cancelled, what + ": cancelled");
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return Error(ErrorCode::invalid_argument, what + ": not an http or https URL");
    default: return Error(ErrorCode::unavailable, what + ": " + curl.strerror(code));
  }
}

}  // namespace

Status download(const std::string& url, int file, const DownloadLimits& limits,
                const std::function<bool(std::uint64_t, std::uint64_t)>& progress) {
  const Curl* const curl = Curl::load();
  if (curl == nullptr)
    return Error(ErrorCode::unsupported, "download " + without_query(url) + ": libcurl is not installed")
        .with_hint("sudo apt-get install libcurl4");
  const std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> handle(curl->init(), curl->cleanup);
  if (!handle) return Error(ErrorCode::internal, "download: curl_easy_init failed");
  Transfer transfer{file, 0, limits.size.count(), 0, &progress};
  CURL* const c = handle.get();
  curl->setopt(c, CURLOPT_URL, url.c_str());
  curl->setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
  curl->setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl->setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
  curl->setopt(c, CURLOPT_MAXREDIRS, 10L);
  curl->setopt(c, CURLOPT_FAILONERROR, 1L);
  curl->setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl->setopt(c, CURLOPT_CONNECTTIMEOUT, static_cast<long>(limits.connect_seconds));
  curl->setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1024L);
  curl->setopt(c, CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits.stall_seconds));
  curl->setopt(c, CURLOPT_WRITEFUNCTION, &on_data);
  curl->setopt(c, CURLOPT_WRITEDATA, &transfer);
  curl->setopt(c, CURLOPT_NOPROGRESS, 0L);
  curl->setopt(c, CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl->setopt(c, CURLOPT_XFERINFODATA, &transfer);
  const CURLcode code = curl->perform(c);
  long status = 0;
  curl->getinfo(c, CURLINFO_RESPONSE_CODE, &status);
  return code == CURLE_OK ? Status() : Status(to_error(code, transfer, url, status, *curl));
}

}  // namespace lmsb::fetch
