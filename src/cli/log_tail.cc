#include "cli/log_tail.h"

#include <algorithm>
#include <vector>

#include "cli/follow.h"
#include "cli/values.h"

namespace lmsb::cli {
namespace {

constexpr std::uint64_t kPiece = 65'536;       // octets of one answer
constexpr std::uint64_t kBeyond = UINT64_MAX;  // any end: who reads there is told where that is

// One piece of a stream.
struct Piece {
  std::uint64_t offset = 0;
  std::string octets;
  std::uint64_t next = 0;
};

std::uint64_t offset_field(json::Value piece, std::string_view name) {
  return static_cast<std::uint64_t>(std::max(0.0, number_field(piece, name).value_or(0)));
}

Result<Piece> read_piece(Api& api, const std::string& stream_url, std::uint64_t offset) {
  LMSB_TRY(const auto answer, call_json(api, Call("GET", stream_url + std::to_string(offset))));
  const json::Value root = answer.root();
  return Piece{offset_field(root, "offset"), octets_of(root), offset_field(root, "next_offset")};
}

// Where lines end in [begin, end): the offsets behind their line breaks.
Result<std::vector<std::uint64_t>> line_ends(Api& api, const std::string& stream_url, std::uint64_t begin,
                                             std::uint64_t end) {
  std::vector<std::uint64_t> ends;
  while (begin < end) {
    LMSB_TRY(const Piece piece, read_piece(api, stream_url, begin));
    for (std::size_t i = 0; i < piece.octets.size() && piece.offset + i < end; ++i)
      if (piece.octets[i] == '\n') ends.push_back(piece.offset + i + 1);
    if (piece.next <= begin) break;  // the process was deleted, or has lost what it wrote
    begin = piece.next;
  }
  return ends;
}

}  // namespace

Result<std::uint64_t> begin_of_tail(Api& api, const std::string& process, std::string_view stream, std::uint64_t lines,
                                    const std::string& until) {
  std::string url = process + "/output?stream=" + std::string(stream);
  if (!until.empty()) url += "&until=" + url_segment(until);
  url += "&offset=";
  LMSB_TRY(const Piece nothing, read_piece(api, url, kBeyond));
  const std::uint64_t last = nothing.next;
  if (lines == 0) return last;
  std::uint64_t left = lines;
  for (std::uint64_t end = last; end > 0;) {
    const std::uint64_t begin = end > kPiece ? end - kPiece : 0;
    LMSB_TRY(const auto ends, line_ends(api, url, begin, end));
    for (auto at = ends.rbegin(); at != ends.rend(); ++at) {
      if (*at == last) continue;  // the end of the last line, not of the one before
      if (--left == 0) return *at;
    }
    end = begin;
  }
  return 0;
}

}  // namespace lmsb::cli
