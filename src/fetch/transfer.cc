#include "fetch/transfer.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <string_view>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fetch/loopback.h"

namespace lmsb::fetch {
namespace {

constexpr long kOk = 200;
constexpr long kPartial = 206;
constexpr std::uint64_t kMostLeftOut = 1U << 20U;  // of an answer that leads elsewhere
constexpr std::uint64_t kKeptFree = 64ULL << 20U;  // of the disk, by whoever knows how much comes
constexpr std::size_t kLongestHeader = 8192;       // a longer one says nothing here

// By text since 7.85; before, by numbers, whose names are deprecated: CURLOPT_PROTOCOLS, CURLOPT_REDIR_PROTOCOLS.
void keep_to_http(CurlOptions& options) {
  constexpr long kHttp = CURLPROTO_HTTP | CURLPROTO_HTTPS;
  options.set_or_older(CURLOPT_PROTOCOLS_STR, "http,https", static_cast<CURLoption>(181), kHttp);
  options.set_or_older(CURLOPT_REDIR_PROTOCOLS_STR, "http,https", static_cast<CURLoption>(182), kHttp);
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

bool is_named(std::string_view line, std::string_view name, std::string_view& value) {
  if (line.size() <= name.size() || line[name.size()] != ':') return false;
  if (::strncasecmp(line.data(), name.data(), name.size()) != 0) return false;
  value = trimmed(line.substr(name.size() + 1));
  return true;
}

// The target of `<...>; rel="next"` among those of a Link header.
std::string next_of(std::string_view value) {
  for (std::size_t begin = value.find('<'); begin != std::string_view::npos; begin = value.find('<', begin + 1)) {
    const std::size_t end = value.find('>', begin);
    if (end == std::string_view::npos) break;
    const std::string_view rest = value.substr(end, value.find('<', end) - end);
    if (rest.find("rel=\"next\"") != std::string_view::npos)
      return std::string(value.substr(begin + 1, end - begin - 1));
  }
  return "";
}

}  // namespace

void Transfer::take_header(std::string_view line) {
  std::string_view value;
  if (line.starts_with("HTTP/")) {  // an answer begins: of a proxy, or one that is not the last
    tag_.clear();
    next_.clear();
    range_begin_ = ~std::uint64_t{0};
  } else if (line.size() > kLongestHeader) {
    return;
  } else if (is_named(line, "etag", value)) {
    if (value.starts_with('"')) tag_ = value;  // weak ones say nothing of the octets
  } else if (is_named(line, "link", value)) {
    next_ = next_of(value);
  } else if (is_named(line, "content-range", value) && value.starts_with("bytes ")) {
    range_begin_ = std::strtoull(std::string(value.substr(6)).c_str(), nullptr, 10);
  }
}

std::size_t Transfer::on_header(const char* data, std::size_t size, std::size_t count, void* self) {
  static_cast<Transfer*>(self)->take_header({data, size * count});
  return size * count;
}

// Room on the disk, where it is known how much comes.
bool Transfer::check_room() {
  curl_off_t coming = -1;
  curl_.getinfo(handle_, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &coming);
  if (coming <= 0) return true;
  if (done_ + static_cast<std::uint64_t>(coming) > limits_.size.count()) return reply_.write_error = EFBIG, false;
  struct statvfs disk {};
  if (::fstatvfs(file_, &disk) < 0 || disk.f_blocks == 0) return true;  // no disk
  const std::uint64_t room = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  const std::uint64_t needed = static_cast<std::uint64_t>(coming) + kKeptFree;
  if (needed <= room) return true;
  reply_.needed = needed - room;
  return reply_.write_error = ENOSPC, false;
}

bool Transfer::begin() {
  has_begun_ = true;
  if (reply_.status == kPartial && range_begin_ != offset_) return reply_.write_error = EPROTO, false;
  struct stat there {};
  const bool is_empty = ::fstat(file_, &there) == 0 && there.st_size == 0;
  if (reply_.status == kOk && !is_empty && ::ftruncate(file_, 0) < 0) return reply_.write_error = errno, false;
  done_ = reply_.status == kPartial ? offset_ : 0;
  if (!tag_.empty() || reply_.status == kOk) received_.tag = tag_;
  received_.next = next_;
  return check_room();
}

bool Transfer::take(std::string_view octets) {
  curl_.getinfo(handle_, CURLINFO_RESPONSE_CODE, &reply_.status);
  if (reply_.status != kOk && reply_.status != kPartial) return (left_out_ += octets.size()) <= kMostLeftOut;
  if (!has_begun_ && !begin()) return false;
  if (done_ + octets.size() > limits_.size.count()) return reply_.write_error = EFBIG, false;
  while (!octets.empty()) {
    const ssize_t n = ::pwrite(file_, octets.data(), octets.size(), static_cast<off_t>(done_));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return reply_.write_error = errno, false;
    octets.remove_prefix(static_cast<std::size_t>(n));
    done_ += static_cast<std::uint64_t>(n);
  }
  return true;
}

std::size_t Transfer::on_data(const char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<Transfer*>(self)->take({data, size * count}) ? size * count : 0;
}

int Transfer::on_progress(void* self, curl_off_t whole, curl_off_t now, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<const Transfer*>(self);
  const bool is_ours = transfer.has_begun_ && whole > 0;
  const std::uint64_t before = transfer.done_ - std::min(transfer.done_, static_cast<std::uint64_t>(now));
  return transfer.progress_(transfer.done_, is_ours ? before + static_cast<std::uint64_t>(whole) : 0) ? 0 : 1;
}

// The last word about the reach: this is the address that would be connected to.
curl_socket_t Transfer::open_loopback_socket(void* self, curlsocktype, curl_sockaddr* to) {
  sockaddr_storage address{};
  if (to->addrlen <= sizeof address) {
    std::memcpy(&address, static_cast<const void*>(&to->addr), to->addrlen);  // longer than its declared type
    if (is_loopback(address)) return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  }
  static_cast<Transfer*>(self)->reply_.is_beyond = true;
  return CURL_SOCKET_BAD;
}

void Transfer::set_options(CurlOptions& options, const std::string& url, const Wanted& wanted, bool with_bearer) {
  options.set(CURLOPT_URL, url.c_str());
  keep_to_http(options);
  options.set(CURLOPT_FOLLOWLOCATION, 0L);
  options.set(CURLOPT_FAILONERROR, 1L);
  options.set(CURLOPT_NOSIGNAL, 1L);
  options.set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(limits_.connect_seconds));
  options.set(CURLOPT_LOW_SPEED_LIMIT, 1024L);
  options.set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits_.stall_seconds));
  options.set(CURLOPT_HEADERFUNCTION, &on_header);
  options.set(CURLOPT_HEADERDATA, this);
  options.set(CURLOPT_WRITEFUNCTION, &on_data);
  options.set(CURLOPT_WRITEDATA, this);
  options.set(CURLOPT_NOPROGRESS, 0L);
  options.set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  options.set(CURLOPT_XFERINFODATA, this);
  if (with_bearer && !wanted.bearer.empty()) {
    options.set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
    options.set(CURLOPT_XOAUTH2_BEARER, wanted.bearer.c_str());
  }
  if (limits_.reach == Reach::loopback) {
    options.set(CURLOPT_OPENSOCKETFUNCTION, &open_loopback_socket);
    options.set(CURLOPT_OPENSOCKETDATA, this);
    options.set(CURLOPT_PROXY, "");  // not the environment's either
  }
}

Result<Reply> Transfer::run(const std::string& url, const Wanted& wanted, bool with_bearer, std::uint64_t offset) {
  reply_ = Reply();
  has_begun_ = false;
  offset_ = done_ = offset;
  left_out_ = 0;
  const std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> handle(curl_.init(), curl_.cleanup);
  if (!handle) return Error(ErrorCode::internal, "curl_easy_init failed");
  handle_ = handle.get();
  CurlOptions options(curl_, handle_);
  set_options(options, url, wanted, with_bearer);
  const std::string range = std::to_string(offset) + "-";
  std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)> headers(nullptr, curl_.free_list);
  const auto add_header = [&](const std::string& header) {
    curl_slist* const longer = curl_.append(headers.get(), header.c_str());
    if (longer == nullptr) return;
    (void)headers.release();
    headers.reset(longer);
  };
  if (!wanted.accept.empty()) add_header("Accept: " + wanted.accept);
  if (offset > 0) {
    options.set(CURLOPT_RANGE, range.c_str());
    if (!received_.tag.empty()) add_header("If-Range: " + received_.tag);
  }
  if (headers) options.set(CURLOPT_HTTPHEADER, headers.get());
  if (options.failure() != CURLE_OK)
    return Error(ErrorCode::unsupported, "this libcurl cannot be kept to what is allowed")
        .with_cause(curl_.strerror(options.failure()));
  reply_.code = curl_.perform(handle_);
  curl_.getinfo(handle_, CURLINFO_RESPONSE_CODE, &reply_.status);
  const char* redirect = nullptr;
  curl_.getinfo(handle_, CURLINFO_REDIRECT_URL, &redirect);
  if (redirect != nullptr) reply_.redirect = redirect;
  if (reply_.code == CURLE_OK && reply_.status == kOk && !has_begun_ && !begin()) reply_.code = CURLE_WRITE_ERROR;
  return std::move(reply_);
}

}  // namespace lmsb::fetch
