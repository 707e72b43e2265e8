// Stands in for a libcurl that does not know the options of 7.85 which keep a transfer to some protocols, and lets all
// be; those of before it knows with OLD_CURL_KEEPS_PROTOCOLS in the environment. src/fetch/download_test.cc loads it.
#include <cstdlib>

extern "C" {

int curl_global_init(long) { return 0; }
void* curl_easy_init() {
  static int handle = 0;
  return &handle;
}
void curl_easy_cleanup(void*) {}
int curl_easy_setopt(void*, int option, ...) {
  const bool is_newer = option == 10318 || option == 10319;  // CURLOPT_PROTOCOLS_STR, CURLOPT_REDIR_PROTOCOLS_STR
  const bool is_older = option == 181 || option == 182;      // CURLOPT_PROTOCOLS, CURLOPT_REDIR_PROTOCOLS
  const bool is_known = !is_newer && (!is_older || std::getenv("OLD_CURL_KEEPS_PROTOCOLS") != nullptr);
  return is_known ? 0 : 48;  // CURLE_UNKNOWN_OPTION
}
int curl_easy_perform(void*) { return 0; }
int curl_easy_getinfo(void*, int, ...) { return 0; }
void* curl_slist_append(void*, const char*) { return nullptr; }
void curl_slist_free_all(void*) {}
const char* curl_easy_strerror(int) { return "An unknown option was passed in to libcurl"; }

}  // extern "C"
