#include "http/wire.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "base/text.h"

namespace lmsb::http {
namespace {

struct Phrase {
  int status;
  std::string_view text;
};

constexpr std::array kPhrases = {Phrase{101, "Switching Protocols"},
                                 Phrase{200, "OK"},
                                 Phrase{201, "Created"},
                                 Phrase{202, "Accepted"},
                                 Phrase{204, "No Content"},
                                 Phrase{206, "Partial Content"},
                                 Phrase{301, "Moved Permanently"},
                                 Phrase{302, "Found"},
                                 Phrase{303, "See Other"},
                                 Phrase{304, "Not Modified"},
                                 Phrase{307, "Temporary Redirect"},
                                 Phrase{308, "Permanent Redirect"},
                                 Phrase{400, "Bad Request"},
                                 Phrase{401, "Unauthorized"},
                                 Phrase{403, "Forbidden"},
                                 Phrase{404, "Not Found"},
                                 Phrase{405, "Method Not Allowed"},
                                 Phrase{406, "Not Acceptable"},
                                 Phrase{408, "Request Timeout"},
                                 Phrase{409, "Conflict"},
                                 Phrase{410, "Gone"},
                                 Phrase{411, "Length Required"},
                                 Phrase{412, "Precondition Failed"},
                                 Phrase{413, "Content Too Large"},
                                 Phrase{415, "Unsupported Media Type"},
                                 Phrase{416, "Range Not Satisfiable"},
                                 Phrase{417, "Expectation Failed"},
                                 Phrase{421, "Misdirected Request"},
                                 Phrase{422, "Unprocessable Content"},
                                 Phrase{426, "Upgrade Required"},
                                 Phrase{429, "Too Many Requests"},
                                 Phrase{431, "Request Header Fields Too Large"},
                                 Phrase{499, "Client Closed Request"},
                                 Phrase{500, "Internal Server Error"},
                                 Phrase{501, "Not Implemented"},
                                 Phrase{502, "Bad Gateway"},
                                 Phrase{503, "Service Unavailable"},
                                 Phrase{504, "Gateway Timeout"},
                                 Phrase{505, "HTTP Version Not Supported"},
                                 Phrase{507, "Insufficient Storage"}};

void append_number(std::string& out, std::size_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end.ptr);
}

// A value may not end its field.
void append_safely(std::string& out, std::string_view text) {
  const std::size_t begin = out.size();
  out += text;
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
      [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  append_safely(out, name);
  out += ": ";
  append_safely(out, value);
  out += "\r\n";
}

bool is_ours(std::string_view name) {
  return same_name(name, "Content-Length") || same_name(name, "Connection") || same_name(name, "Date") ||
         same_name(name, "Transfer-Encoding");
}

// How the client learns where the body ends.
void append_framing(std::string& out, const Response& response, bool http10) {
  if (!has_body(response.status) || lasts_until_close(response, http10)) return;
  if (response.source && !response.source_size) {
    out += "Transfer-Encoding: chunked\r\n";
    return;
  }
  out += "Content-Length: ";
  append_number(out, response.source_size.value_or(response.body.size()));
  out += "\r\n";
}

void append_connection(std::string& out, const Response& response, Framing framing) {
  const bool upgrade = response.status == 101 || response.status == 426;
  if (upgrade) {
    out += framing.keep_alive ? "Connection: Upgrade\r\n" : "Connection: close, Upgrade\r\n";
  } else if (!framing.keep_alive) {
    out += "Connection: close\r\n";
  } else if (framing.http10) {
    out += "Connection: keep-alive\r\n";
  }
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : to_utf8(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  out += '"';
}

}  // namespace

std::string_view reason_phrase(int status) {
  const auto found = std::find_if(kPhrases.begin(), kPhrases.end(),
                                  [status](const Phrase& phrase) { return phrase.status == status; });
  return found == kPhrases.end() ? "Unknown" : found->text;
}

bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

bool lasts_until_close(const Response& response, bool http10) {
  return http10 && response.source && !response.source_size && has_body(response.status);
}

std::string_view http_date() {
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  thread_local std::time_t written = 0;
  thread_local std::array<char, 64> text{};
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != written) {
    std::tm utc{};
    ::gmtime_r(&now.tv_sec, &utc);
    std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                  kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                  utc.tm_sec);
    written = now.tv_sec;
  }
  return text.data();
}

void append_head(std::string& out, const Response& response, Framing framing) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::size_t>(response.status));
  out += ' ';
  out += reason_phrase(response.status);
  out += "\r\nDate: ";
  out += http_date();
  out += "\r\n";
  for (const auto& [name, value] : response.headers.fields()) {
    if (is_ours(name)) continue;
    append_field(out, name, value);
  }
  append_framing(out, response, framing.http10);
  append_connection(out, response, framing);
  out += "\r\n";
}

std::string last_chunk(const Headers& trailer) {
  std::string out = "0\r\n";
  for (const auto& [name, value] : trailer.fields())
    if (!is_ours(name)) append_field(out, name, value);
  return out + "\r\n";
}

Response refusal_answer(int status, std::string_view detail) {
  std::string body = "{\"detail\":";
  append_json_string(body, detail);
  body += '}';
  return Response::json(status, std::move(body));
}

}  // namespace lmsb::http
