#pragma once
// Downloads: a URL into a file, blocking. For the blocking pool, never for the event loop.
//
// A file may hold the beginning of what is wanted already, from an earlier download that broke off: it is gone on with
// where the server can (RFC 9110, Range and If-Range), and begun anew where not.
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace lmsb::fetch {

// What may be connected to. `loopback`: 127.0.0.0/8 and ::1, whatever a name says; no proxy, and no name server is
// asked for another host than "localhost".
enum class Reach : std::uint8_t { anywhere, loopback };

struct DownloadLimits {
  Bytes size = Bytes::GiB(512);  // a larger file is an Error
  std::int64_t connect_seconds = 30;
  std::int64_t stall_seconds = 60;  // less than 1 KiB/s for this long is an Error, or a try that failed
  Reach reach = Reach::anywhere;
  // In a row that bring nothing new: a connection that breaks, stalls or does not come about, or a server that says it
  // is busy (408, 429, 5xx). Between them 1, 2, 4 ... of the pause, 30 at most.
  int tries = 1;
  std::chrono::milliseconds pause{1000};
};

struct Wanted {
  std::string url;  // http or https
  std::string
      bearer;  // a token, for the origin of `url` alone: who is redirected elsewhere does not send it; "" = none
  std::string accept;  // the request's Accept; "" = anything
  // Of what the file holds already: the strong entity tag that it came with. "" = it is compared with a digest
  // afterwards, if `is_checked`; else it is begun anew.
  std::string tag;
  bool is_checked = false;
};

struct Received {
  std::string tag;   // strong entity tag of what the file holds now; "" = it has none
  std::string next;  // URL of `Link: <...>; rel="next"`; "" = none
};

// Octets of the file so far and in all (0 = unknown), now and then; returning false cancels.
using Progress = std::function<bool(std::uint64_t, std::uint64_t)>;

// Into the open descriptor `file`, following at most 10 redirects that stay http or https, and never from https to
// http. `received` is right also after an Error, for a later download that goes on. Errors: unavailable (no connection,
// status other than 200), not_found (404), permission_denied (401, 403; slug "offline": beyond `reach`),
// deadline_exceeded, resource_exhausted (no space, too large), unsupported (there is no libcurl, or it does not know a
// bound), cancelled; each names the URL without its query.
Status download(const Wanted& wanted, int file, const DownloadLimits& limits, const Progress& progress,
                Received& received);

// What a URL answers, as text of at most 16 MiB, or `limits.size`.
Result<std::string> fetch_text(const Wanted& wanted, DownloadLimits limits, const Progress& progress,
                               Received& received);

// Scheme, host and port of a URL, as it is written: "https://models.example:8443".
std::string origin_of(const std::string& url);

}  // namespace lmsb::fetch
