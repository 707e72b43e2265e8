#pragma once
// Downloads: a URL into a file, in one go, blocking. For the blocking pool, never for the event loop.
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace lmsb::fetch {

// What may be connected to. `loopback`: 127.0.0.0/8 and ::1, whatever a name says; no proxy, no redirect is followed,
// and no name server is asked for another host than "localhost".
enum class Reach : std::uint8_t { anywhere, loopback };

struct DownloadLimits {
  Bytes size = Bytes::GiB(512);  // a larger file is an Error
  std::int64_t connect_seconds = 30;
  std::int64_t stall_seconds = 60;  // less than 1 KiB/s for this long is an Error
  Reach reach = Reach::anywhere;
};

// Writes what `url` (http or https) answers to the open descriptor `file`, following at most 10 redirects that stay
// http or https. `progress` is called now and then with octets so far and in all (0 = unknown); returning false
// cancels. Errors: unavailable (no connection, status other than 200), deadline_exceeded, resource_exhausted (no space,
// too large), unsupported (there is no libcurl, or it does not know a bound), permission_denied (slug "offline": beyond
// `reach`), cancelled; each names the URL without its query.
Status download(const std::string& url, int file, const DownloadLimits& limits,
                const std::function<bool(std::uint64_t, std::uint64_t)>& progress);

}  // namespace lmsb::fetch
