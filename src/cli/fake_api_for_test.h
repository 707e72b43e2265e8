#pragma once
// FakeApi: answers in a daemon's place, and remembers what was asked. For tests.
#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

#include "cli/api.h"

namespace lmsb::cli {

class FakeApi final : public Api {
 public:
  Result<Answer> send(const Call& call) override {
    calls.push_back(call);
    const auto found = answers.find(call.method + " " + call.target);
    if (found == answers.end()) return Error(ErrorCode::unavailable, "connect to 127.0.0.1:8000: Connection refused");
    return found->second;
  }
  Result<Answer> send_for_lines(const Call& call, const LineHandler& handle) override {
    LMSB_TRY(Answer answer, send(call));
    if (answer.status >= 400) return answer;
    for (std::string_view left = answer.body; !left.empty();) {
      const std::string_view line = left.substr(0, left.find('\n'));
      left.remove_prefix(std::min(left.size(), line.size() + 1));
      LMSB_CHECK(handle(line));
    }
    answer.body.clear();
    return answer;
  }
  Result<Answer> send_octets(const Call& call, int in) override {
    std::array<char, 4096> piece{};
    for (ssize_t n = 0; (n = ::read(in, piece.data(), piece.size())) > 0;)
      octets.append(piece.data(), static_cast<std::size_t>(n));
    return send(call);
  }
  Result<Answer> send_for_octets(const Call& call, int out) override {
    LMSB_TRY(Answer answer, send(call));
    if (answer.status >= 400) return answer;
    if (::write(out, answer.body.data(), answer.body.size()) < 0) return Error::from_errno(errno, "write");
    answer.body.clear();
    return answer;
  }
  std::string octets;                     // what came by send_octets
  std::map<std::string, Answer> answers;  // by "METHOD target"; nobody answers what is not here
  std::vector<Call> calls;
};

}  // namespace lmsb::cli
