#pragma once
// The exec result as JSON (interfaces.md, "exec: the contract"): one way to show it, for every dialect.
#include <cstdint>
#include <string>

#include "control/exec.h"
#include "json/writer.h"

namespace lmsb::server {

// A stream as it is shown: head, a line that counts what is missing, tail. Characters that the cut went through are
// left out and counted, so that a cut alone never makes text ill-formed.
struct ShownOutput {
  std::string bytes;  // may hold octets that are not UTF-8; JSON strings then get U+FFFD
  std::uint64_t missing_bytes = 0;
};
ShownOutput show_output(control::Output output);

// The `truncated` object; `spill_path` is "" where nothing was kept.
void write_truncated(json::Writer& out, std::uint64_t stdout_bytes, std::uint64_t stderr_bytes,
                     std::string_view spill_path = {});

// How a command ended, without its output: the end of a stream, or of a process that is not waited for.
void write_ending_fields(json::Writer& out, const control::ExecResult& result);

// The result's fields, into an object that is open: /v1/run adds `files` to it.
void write_exec_fields(json::Writer& out, control::ExecResult result);

}  // namespace lmsb::server
