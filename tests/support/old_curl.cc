// Stands in for a libcurl that does not know the options of 7.85 which keep a transfer to some protocols, and lets all
// be. src/fetch/download_test.cc loads it.
extern "C" {

int curl_global_init(long) { return 0; }
void* curl_easy_init() {
  static int handle = 0;
  return &handle;
}
void curl_easy_cleanup(void*) {}
// CURLOPT_PROTOCOLS_STR and CURLOPT_REDIR_PROTOCOLS_STR; CURLE_UNKNOWN_OPTION
int curl_easy_setopt(void*, int option, ...) { return option == 10318 || option == 10319 ? 48 : 0; }
int curl_easy_perform(void*) { return 0; }
int curl_easy_getinfo(void*, int, ...) { return 0; }
const char* curl_easy_strerror(int) { return "An unknown option was passed in to libcurl"; }

}  // extern "C"
