#pragma once
// TemporarySandbox: a kept sandbox that is there for one run of ours, where others can see it meanwhile. Gone with the
// value, unless it is kept.
//
// Should this program be killed, the daemon removes it: when it has stood unused for a minute, and one with a terminal,
// whose shell counts as use, ten minutes after its life was last renewed.
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/command_line.h"
#include "cli/connection.h"
#include "cli/console.h"
#include "cli/requests.h"
#include "cli/terminal_session.h"

namespace lmsb::cli {

class TemporarySandbox {
 public:
  // Makes what `command` describes, but for how long it lives. Blocks. `connection` and `console` outlive it.
  static Result<std::unique_ptr<TemporarySandbox>> create(CreateCommand command, const Inputs& inputs,
                                                          bool needs_renewal, Connection& connection, Console& console);
  // Removes it; that it could not be is told. Blocks.
  ~TemporarySandbox();
  TemporarySandbox(const TemporarySandbox&) = delete;
  TemporarySandbox& operator=(const TemporarySandbox&) = delete;

  const std::string& id() const { return id_; }
  // What keeps one that needs it.
  Renewal renewal() const;
  // It stays, until it has stood unused for so long; 0: for good. Blocks. Error: it goes all the same.
  Status keep(std::chrono::milliseconds idle);

 private:
  TemporarySandbox(std::string id, Connection& connection, Console& console)
      : id_(std::move(id)), connection_(connection), console_(console) {}
  std::string id_;
  bool stays_ = false;
  Connection& connection_;
  Console& console_;
};

}  // namespace lmsb::cli
