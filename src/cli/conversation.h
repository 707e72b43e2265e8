#pragma once
// Conversation: questions to a model and what it answered, in the words of OpenAI's API. One thread.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/api.h"

namespace lmsb::cli {

class Conversation {
 public:
  // `model` "" = the daemon's default. `system` "" = no such message.
  Conversation(std::string model, std::string system) : model_(std::move(model)), system_(std::move(system)) {}

  // A part of an answer as it comes. `is_thought`: of what a model writes before it answers.
  struct Part {
    std::string text;
    bool is_thought = false;
  };
  // An Error ends the answer.
  using PartHandler = std::function<Status(const Part& part)>;

  // Asks, and returns why the answer ended: "stop", "length", "interrupted" (`stop` could be read). Question and answer
  // are remembered, also what came of an interrupted one; nothing after an Error, or when nothing came. Blocks.
  Result<std::string> ask(Api& api, const std::string& question, const PartHandler& handle,
                          BorrowedFd stop = BorrowedFd(-1));
  // Asks, and returns the daemon's whole answer; nothing of it is remembered. Blocks.
  Result<json::Document> ask_whole(Api& api, const std::string& question);
  // Begins anew.
  void forget() { messages_.clear(); }
  void set_system(std::string system) { system_ = std::move(system); }
  std::size_t size() const { return messages_.size(); }

 private:
  struct Message {
    std::string role;
    std::string content;
  };
  enum class Way : std::uint8_t { streamed, whole };
  std::string body(Way way) const;

  std::string model_;
  std::string system_;
  std::vector<Message> messages_;
};

}  // namespace lmsb::cli
