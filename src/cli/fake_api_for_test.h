#pragma once
// FakeApi: answers in a daemon's place, and remembers what was asked. For tests.
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
  std::map<std::string, Answer> answers;  // by "METHOD target"; nobody answers what is not here
  std::vector<Call> calls;
};

}  // namespace lmsb::cli
