#pragma once
// SeccompCompiler: makes one BPF program out of a table of system calls and a table of argument rules.
//
// The argument rules are our own BPF, because libseccomp cannot compare one argument with several values; the calls
// become libseccomp's balanced tree (0.3 ms to install instead of 1.15 ms in its default order). Arguments are compared
// by their low 32 bits: the kernel ignores the rest of an int, and so must a filter (CVE-2019-10063); a pointer needs a
// rule for each half. x86-64 only: another architecture's call, or x32, kills the process. Pure; allocates; not for use
// after fork.
#include <cstdint>
#include <linux/filter.h>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace lmsb {

// What a call that the tables do not allow gets.
struct SeccompCall {
  const char* name;  // as libseccomp knows it; nullptr: by number
  int number;        // when libseccomp 2.5.4 does not know the name
  int error;         // 0 = allowed, else this errno
};

// A condition on one argument of one call. `values` are tried in order after masking. The rules of a call stand
// together in their table; those of calls that are made often stand first.
struct SeccompArgument {
  enum class Half : std::uint8_t { low, high };
  enum class Test : std::uint8_t {
    refuse_if_equal,      // (argument & mask) is one of values: refuse
    refuse_unless_equal,  // (argument & mask) is none of values: refuse
    refuse_if_any_bit,    // (argument & mask) != 0: refuse
  };
  const char* call;
  unsigned index;
  std::uint32_t mask;
  Test test;
  std::span<const std::uint32_t> values;
  int error;  // 0: what is refused seems to succeed, and does nothing
  // Only when (argument `when_index`, low 32 bits) & `when_mask` equals `when_value`; when_index 6 = always.
  unsigned when_index = 6;
  std::uint32_t when_value = 0;
  std::uint32_t when_mask = 0xffffffff;
  Half half = Half::low;
};

struct SeccompTables {
  std::span<const SeccompCall> calls;
  std::span<const SeccompArgument> arguments;
  int default_error;  // for known calls that are not listed; 0: they are allowed, and the list names refusals only
  int highest_known;  // calls above it get ENOSYS: libc then falls back as on an older kernel
};

// The program, as bytes of sock_filter.
Result<std::vector<sock_filter>> compile_seccomp(const SeccompTables& tables);

// What `program` answers to call `number` with `args`, by interpreting it: SECCOMP_RET_*. For tests of the tables.
std::uint32_t evaluate_seccomp(std::span<const sock_filter> program, int number, std::span<const std::uint64_t> args,
                               std::uint32_t arch);

}  // namespace lmsb
