#pragma once
// Curl: libcurl, loaded when something is downloaded and not before: it brings some thirty libraries that no other
// request of the daemon, and no command, has a use for.
#include <curl/curl.h>

namespace lmsb::fetch {

struct Curl {
  decltype(&::curl_global_init) global_init = nullptr;
  decltype(&::curl_easy_init) init = nullptr;
  decltype(&::curl_easy_cleanup) cleanup = nullptr;
  decltype(&::curl_easy_setopt) setopt = nullptr;
  decltype(&::curl_easy_perform) perform = nullptr;
  decltype(&::curl_easy_getinfo) getinfo = nullptr;
  decltype(&::curl_easy_strerror) strerror = nullptr;
  decltype(&::curl_slist_append) append = nullptr;
  decltype(&::curl_slist_free_all) free_list = nullptr;

  // nullptr: there is none. Thread-safe; never unloaded: other libraries keep references to it.
  static const Curl* load();
};

// Sets the options of one transfer. None is left out silently: one that this libcurl does not know may be what bounds
// it.
class CurlOptions {
 public:
  CurlOptions(const Curl& curl, CURL* handle) : curl_(curl), handle_(handle) {}
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

}  // namespace lmsb::fetch
