#include "fetch/download.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "base/unique_fd.h"
#include "fetch/loopback.h"
#include "fetch/transfer.h"

namespace lmsb::fetch {
namespace {

constexpr int kMaxRedirects = 10;
constexpr Bytes kMaxText = Bytes::MiB(16);
constexpr int kLongestPause = 30;  // of the first

// For messages: without what may be secret.
std::string shown(std::string url) {
  url.resize(std::min(url.size(), url.find('?')));
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const std::size_t end = std::min(url.size(), url.find('/', scheme + 3));
  const std::size_t at = url.rfind('@', end);
  if (at != std::string::npos && at > scheme) url.erase(scheme + 3, at - scheme - 2);
  return url;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_http(const std::string& url) {
  const std::string scheme = lower(url.substr(0, url.find("://") + 3));
  return scheme == "http://" || scheme == "https://";
}

Error beyond_reach(const std::string& url) {
  return Error(ErrorCode::permission_denied, "download " + shown(url))
      .with_cause("this daemon is offline: it connects to nothing beyond loopback")
      .with_slug("offline")
      .with_hint("bring the file here by other means and name its path, or start the daemon without --offline");
}

Error refused_status(const std::string& what, long status) {
  const auto with = [&](ErrorCode code) {
    return Error(code, what).with_cause("the server answered " + std::to_string(status));
  };
  if (status == 404 || status == 410) return with(ErrorCode::not_found);
  if (status != 401 && status != 403) return with(ErrorCode::unavailable);
  return with(ErrorCode::permission_denied)
      .with_hint("it may want a token: of Hugging Face that is HF_TOKEN, set where lm-sandbox model pull is called");
}

Error no_room(const std::string& what, const Reply& reply) {
  return Error::from_errno(ENOSPC, what)
      .with_hint(reply.needed == 0 ? std::string("make room on the disk of the data directory")
                                   : "make room on the disk of the data directory: " +
                                         format_bytes(Bytes(reply.needed)) + " are missing");
}

Error to_error(const Reply& reply, const std::string& url, const Curl& curl) {
  const std::string what = "download " + shown(url);
  if (reply.is_beyond) return beyond_reach(url);
  if (reply.write_error == EFBIG) return Error(ErrorCode::resource_exhausted, what).with_cause("larger than allowed");
  if (reply.write_error == ENOSPC) return no_room(what, reply);
  if (reply.write_error == EPROTO)
    return Error(ErrorCode::unavailable, what).with_cause("the server sent another part than it was asked for");
  if (reply.write_error != 0) return Error::from_errno(reply.write_error, what + ": write");
  switch (reply.code) {
    case CURLE_OK:
    case CURLE_HTTP_RETURNED_ERROR: return refused_status(what, reply.status);
    case CURLE_OPERATION_TIMEDOUT: return Error(ErrorCode::deadline_exceeded, what).with_cause("the server stalled");
    case CURLE_ABORTED_BY_CALLBACK: return Error(ErrorCode::cancelled, what).with_cause("cancelled");
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Error(ErrorCode::invalid_argument, what).with_cause("not an http or https URL");
    default: return Error(ErrorCode::unavailable, what).with_cause(curl.strerror(reply.code));
  }
}

bool is_whole(const Reply& reply) { return reply.code == CURLE_OK && (reply.status == 200 || reply.status == 206); }

// Whether it may go better by itself.
bool is_passing(const Reply& reply) {
  if (reply.write_error != 0 || reply.is_beyond) return false;
  switch (reply.code) {
    case CURLE_HTTP_RETURNED_ERROR: return reply.status == 408 || reply.status == 429 || reply.status >= 500;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    default: return false;
  }
}

class Downloading {
 public:
  Downloading(const Curl& curl, const Wanted& wanted, int file, const DownloadLimits& limits, const Progress& progress,
              Received& received)
      : curl_(curl),
        wanted_(wanted),
        file_(file),
        limits_(limits),
        progress_(progress),
        received_(received),
        transfer_(curl, file, limits, progress, received) {}

  Status run() {
    struct stat info {};
    if (::fstat(file_, &info) < 0) return Error::from_errno(errno, "download: look at the file");
    const auto there = static_cast<std::uint64_t>(info.st_size);
    std::uint64_t right = can_go_on() ? there : 0;
    std::uint64_t most = right;
    int failed = 0;  // in a row
    while (true) {
      LMSB_TRY(const Reply reply, follow(right));
      if (is_whole(reply)) return {};
      const bool has_no_such_part = reply.code == CURLE_HTTP_RETURNED_ERROR && reply.status == 416 && right > 0;
      if (!has_no_such_part && !is_passing(reply)) return to_error(reply, last_, curl_);
      right = can_go_on() && !has_no_such_part ? transfer_.done() : 0;
      failed = right > most ? 1 : failed + 1;
      most = std::max(most, right);
      if (failed >= limits_.tries) return to_error(reply, last_, curl_);
      LMSB_CHECK(pause(failed, right));
    }
  }

 private:
  bool can_go_on() const { return wanted_.is_checked || !received_.tag.empty(); }

  // To where redirects lead.
  Result<Reply> follow(std::uint64_t offset) {
    last_ = wanted_.url;
    for (int redirects = 0;; ++redirects) {
      LMSB_CHECK(check(last_));
      const bool is_its_origin = origin_of(last_) == origin_of(wanted_.url);
      auto reply = transfer_.run(last_, wanted_, is_its_origin, offset);
      if (!reply.ok())
        return std::move(reply)
            .error()
            .with_context("download " + shown(last_))
            .with_hint("install a newer libcurl, or bring the file here by other means and name its path");
      if (reply->code != CURLE_OK || reply->redirect.empty()) return reply;
      if (redirects >= kMaxRedirects)
        return Error(ErrorCode::unavailable, "download " + shown(last_)).with_cause("it is redirected in circles");
      if (lower(last_.substr(0, 6)) == "https:" && lower(reply->redirect.substr(0, 5)) == "http:")
        return Error(ErrorCode::unavailable, "download " + shown(last_))
            .with_cause("it is redirected to where nothing is encrypted");
      last_ = reply->redirect;
    }
  }

  Status check(const std::string& url) const {
    if (!is_http(url))
      return Error(ErrorCode::invalid_argument, "download " + shown(url)).with_cause("not an http or https URL");
    if (limits_.reach == Reach::loopback && !is_loopback_name(std::string(host_of(url)))) return beyond_reach(url);
    return {};
  }

  // Ends early when it is cancelled.
  Status pause(int failed, std::uint64_t done) const {
    constexpr std::chrono::milliseconds kLook{100};
    auto left = limits_.pause * std::min(1 << std::min(failed - 1, 5), kLongestPause);
    for (; left.count() > 0; left -= kLook) {
      if (!progress_(done, 0)) return Error(ErrorCode::cancelled, "download " + shown(last_)).with_cause("cancelled");
      std::this_thread::sleep_for(std::min(left, kLook));
    }
    return {};
  }

  const Curl& curl_;
  const Wanted& wanted_;
  const int file_;
  const DownloadLimits& limits_;
  const Progress& progress_;
  Received& received_;
  Transfer transfer_;
  std::string last_;  // URL that was asked
};

}  // namespace

std::string origin_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return "";
  std::string authority = url.substr(scheme + 3, url.find_first_of("/?#\\", scheme + 3) - scheme - 3);
  if (const std::size_t at = authority.rfind('@'); at != std::string::npos) authority.erase(0, at + 1);
  return lower(url.substr(0, scheme + 3) + authority);
}

Status download(const Wanted& wanted, int file, const DownloadLimits& limits, const Progress& progress,
                Received& received) {
  const Curl* const curl = Curl::load();
  if (curl == nullptr)
    return Error(ErrorCode::unsupported, "download " + shown(wanted.url) + ": libcurl is not installed")
        .with_hint("sudo apt-get install libcurl4");
  received = Received{wanted.tag, ""};
  return Downloading(*curl, wanted, file, limits, progress, received).run();
}

Result<std::string> fetch_text(const Wanted& wanted, DownloadLimits limits, const Progress& progress,
                               Received& received) {
  limits.size = std::min(limits.size, kMaxText);
  const UniqueFd file(::memfd_create("lm-sandbox-text", MFD_CLOEXEC));
  if (!file) return Error::from_errno(errno, "memfd_create");
  LMSB_CHECK(download(wanted, file.get(), limits, progress, received));
  struct stat info {};
  if (::fstat(file.get(), &info) < 0) return Error::from_errno(errno, "look at the answer");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  if (::pread(file.get(), text.data(), text.size(), 0) != info.st_size)
    return Error::from_errno(EIO, "read the answer");
  return text;
}

}  // namespace lmsb::fetch
