#pragma once
// FakeApi: answers in a daemon's place, and remembers what was asked. For tests.
#include <algorithm>
#include <map>
#include <string>
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
  std::map<std::string, Answer> answers;  // by "METHOD target"; nobody answers what is not here
  std::vector<Call> calls;
};

}  // namespace lmsb::cli
