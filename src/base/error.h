#pragma once
// Error: what went wrong, on what, why, and what to do next; in a form that a person can act on and that
// every door (HTTP, CLI exit status, MCP, SSH) maps to its own answer once.
//
// Message form, outermost step first: `create sandbox s7f3...: mount overlay on /: Operation not permitted`.
// A value type: copyable, thread-compatible, never blocks.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace lmsb {

// Coarse categories, spelled as on the wire. Each maps to exactly one HTTP status (server) and exit status (cli).
enum class ErrorCode : std::uint8_t {
  invalid_argument,     // the request can never succeed as it stands
  not_found,            // the thing named does not exist
  already_exists,       // a thing of that name exists
  failed_precondition,  // the thing is in the wrong state, or the machine lacks something
  permission_denied,    // who asks may not
  unauthenticated,      // who asks is unknown
  resource_exhausted,   // a bound was met; later may work
  deadline_exceeded,    // a time limit was met
  cancelled,            // who asked went away
  unavailable,          // a part we need is away; later may work
  unsupported,          // this machine or this version cannot
  internal,             // our bug
};

// The wire name, for example "not_found".
std::string_view to_string(ErrorCode code);

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  // Wraps `err` (an errno value) from the step named by `what`, for example "mount overlay on /x".
  static Error from_errno(int err, std::string_view what);

  ErrorCode code() const { return code_; }
  // The errno of the system call that failed; 0 when none did.
  int sys_errno() const { return errno_; }
  const std::string& message() const { return message_; }
  // The end of the message: what the innermost step says; empty when there is but one. Lives as long as the Error.
  std::string_view cause() const {
    const bool has_one = cause_at_ > 0 && cause_at_ <= message_.size();  // what was moved away has no message
    return has_one ? std::string_view(message_).substr(cause_at_) : std::string_view();
  }
  // What the user can do about it ("sysctl -w ..."); empty when there is nothing to say.
  const std::string& hint() const { return hint_; }
  // How long the same request is refused at least; 0: that is not known.
  std::chrono::seconds wait() const { return std::chrono::seconds(wait_s_); }
  // The stable name that clients switch on, for example "sandbox_not_found"; the category's name by default.
  std::string_view slug() const { return slug_.empty() ? to_string(code_) : std::string_view(slug_); }

  // Prefixes the message with the step that failed; the innermost cause stays last.
  Error&& with_context(std::string_view step) &&;
  // The same in another category, without the code of its own that it had.
  Error&& with_code(ErrorCode code) &&;
  // Appends why the step failed that the message ends with: the innermost cause from now on.
  Error&& with_cause(std::string_view cause) &&;
  Error&& with_hint(std::string hint) &&;
  Error&& with_slug(std::string slug) &&;
  Error&& with_wait(std::chrono::seconds wait) &&;  // a day at most

 private:
  ErrorCode code_;
  int errno_ = 0;
  std::uint32_t wait_s_ = 0;
  std::uint32_t cause_at_ = 0;  // in the message, where the innermost cause begins; 0: there is one step
  std::string message_;
  std::string hint_;
  std::string slug_;
};

}  // namespace lmsb
