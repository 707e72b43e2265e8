#include "fetch/curl.h"

#include <dlfcn.h>

namespace lmsb::fetch {
namespace {

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

const Curl* Curl::load() {
  static const Curl* const loaded = []() -> const Curl* {
    void* const library = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    static Curl curl;
    const bool is_whole =
        library != nullptr && find(library, "curl_global_init", curl.global_init) &&
        find(library, "curl_easy_init", curl.init) && find(library, "curl_easy_cleanup", curl.cleanup) &&
        find(library, "curl_easy_setopt", curl.setopt) && find(library, "curl_easy_perform", curl.perform) &&
        find(library, "curl_easy_getinfo", curl.getinfo) && find(library, "curl_easy_strerror", curl.strerror) &&
        find(library, "curl_slist_append", curl.append) && find(library, "curl_slist_free_all", curl.free_list);
    return is_whole && curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? &curl : nullptr;
  }();
  return loaded;
}

}  // namespace lmsb::fetch
