#pragma once
// Transfer: one request of a download, and what came of it. Redirects and further tries are download()'s.
#include <cstdint>
#include <string>

#include "fetch/curl.h"
#include "fetch/download.h"

namespace lmsb::fetch {

struct Reply {
  CURLcode code = CURLE_OK;
  long status = 0;
  std::string redirect;      // where a 3xx leads; "" = nowhere
  int write_error = 0;       // an errno: EFBIG, what came is larger than allowed; ENOSPC, it would not fit
  bool is_beyond = false;    // something beyond the reach was to be connected to
  std::uint64_t needed = 0;  // of ENOSPC: octets that are missing on the disk
};

class Transfer {
 public:
  // All outlive it.
  Transfer(const Curl& curl, int file, const DownloadLimits& limits, const Progress& progress, Received& received)
      : curl_(curl), file_(file), limits_(limits), progress_(progress), received_(received) {}

  // Asks `url` for what is behind the first `offset` octets of the file, or for all. Error unsupported: this libcurl
  // cannot be kept to what is allowed.
  Result<Reply> run(const std::string& url, const Wanted& wanted, bool with_bearer, std::uint64_t offset);
  // Octets of the file that are right.
  std::uint64_t done() const { return done_; }

 private:
  static std::size_t on_header(const char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_data(const char* data, std::size_t size, std::size_t count, void* self);
  static int on_progress(void* self, curl_off_t whole, curl_off_t now, curl_off_t, curl_off_t);
  static curl_socket_t open_loopback_socket(void* self, curlsocktype, curl_sockaddr* to);
  void set_options(CurlOptions& options, const std::string& url, const Wanted& wanted, bool with_bearer);
  void take_header(std::string_view line);
  bool begin();  // of the octets that are wanted: where they belong
  bool check_room();
  bool take(std::string_view octets);

  const Curl& curl_;
  const int file_;
  const DownloadLimits& limits_;
  const Progress& progress_;
  Received& received_;
  CURL* handle_ = nullptr;
  Reply reply_;
  std::uint64_t offset_ = 0;  // asked for
  std::uint64_t done_ = 0;
  std::uint64_t left_out_ = 0;  // octets of answers that are not wanted
  bool has_begun_ = false;
  // Of the answer that comes:
  std::string tag_;
  std::string next_;
  std::uint64_t range_begin_ = 0;
};

}  // namespace lmsb::fetch
