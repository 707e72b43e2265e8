#include "os/seccomp_compiler.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <memory>
#include <sys/mman.h>
#include <unistd.h>

#include <seccomp.h>

#include "base/unique_fd.h"

namespace lmsb {
namespace {

using Program = std::vector<sock_filter>;
using Context = std::unique_ptr<void, decltype(&::seccomp_release)>;

constexpr std::uint32_t kX32Bit = 0x40000000;

sock_filter statement(unsigned code, std::uint32_t k) { return {static_cast<std::uint16_t>(code), 0, 0, k}; }
sock_filter jump(unsigned code, std::uint32_t k, std::size_t yes, std::size_t no) {
  return {static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(yes), static_cast<std::uint8_t>(no), k};
}
sock_filter load(std::size_t offset) { return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
std::size_t argument_offset(unsigned index, SeccompArgument::Half half = SeccompArgument::Half::low) {
  return offsetof(seccomp_data, args) + index * sizeof(std::uint64_t) +
         (half == SeccompArgument::Half::high ? sizeof(std::uint32_t) : 0);
}
sock_filter refuse(int error) {
  return statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error) & SECCOMP_RET_DATA));
}

// The test of one rule: falls through its end when the call is not refused.
Program rule_body(const SeccompArgument& rule) {
  using Test = SeccompArgument::Test;
  Program body = {load(argument_offset(rule.index, rule.half)), statement(BPF_ALU | BPF_AND | BPF_K, rule.mask)};
  const std::size_t n = rule.values.size();
  switch (rule.test) {
    case Test::refuse_if_any_bit: body.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0)); break;
    case Test::refuse_if_equal:  // a hit jumps to the refusal, which stands after the jump over it
      for (std::size_t i = 0; i < n; ++i) body.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, rule.values[i], n - i, 0));
      body.push_back(statement(BPF_JMP | BPF_JA, 1));
      break;
    case Test::refuse_unless_equal:
      for (std::size_t i = 0; i < n; ++i) body.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, rule.values[i], n - i, 0));
      break;
  }
  body.push_back(refuse(rule.error));
  return body;
}

// A rule of the call that the program is about, skipped unless its condition holds.
Program conditional_body(const SeccompArgument& rule) {
  Program body = rule_body(rule);
  if (rule.when_index >= 6) return body;
  const Program condition = {load(argument_offset(rule.when_index)),
                             statement(BPF_ALU | BPF_AND | BPF_K, rule.when_mask),
                             jump(BPF_JMP | BPF_JEQ | BPF_K, rule.when_value, 0, body.size())};
  body.insert(body.begin(), condition.begin(), condition.end());
  return body;
}

// All rules of one call. What they do not refuse goes on behind all groups: `ends` collects the jumps there.
Status add_group(Program& program, std::span<const SeccompArgument> rules, std::vector<std::size_t>& ends) {
  const int number = ::seccomp_syscall_resolve_name(rules.front().call);
  if (number < 0) return Error(ErrorCode::internal, std::string("seccomp: unknown call ") + rules.front().call);
  Program group;
  for (const SeccompArgument& rule : rules) {
    const Program body = conditional_body(rule);
    if (body.size() > 255) return Error(ErrorCode::internal, std::string("seccomp: too many values for ") + rule.call);
    group.insert(group.end(), body.begin(), body.end());
  }
  program.push_back(load(offsetof(seccomp_data, nr)));
  program.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 1, 0));
  program.push_back(statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(group.size() + 1)));
  program.insert(program.end(), group.begin(), group.end());
  ends.push_back(program.size());
  program.push_back(statement(BPF_JMP | BPF_JA, 0));
  return {};
}

// A call's rules may stand apart: a group that came later would not be reached any more.
Status add_rules(Program& program, std::span<const SeccompArgument> rules) {
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto is_of_call = [call = std::string_view(rules[i].call)](const auto& rule) { return call == rule.call; };
    const auto before = rules.first(i);
    if (std::any_of(before.begin(), before.end(), is_of_call)) continue;  // of a group that is there
    std::vector<SeccompArgument> group;
    std::copy_if(rules.begin(), rules.end(), std::back_inserter(group), is_of_call);
    LMSB_CHECK(add_group(program, group, ends));
  }
  for (const std::size_t end : ends) program[end].k = static_cast<std::uint32_t>(program.size() - end - 1);
  return {};
}

// Foreign architectures die; calls newer than the table look like an older kernel.
Program preamble(int highest_known) {
  return {load(offsetof(seccomp_data, arch)),
          jump(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
          statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
          load(offsetof(seccomp_data, nr)),
          jump(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 0, 1),
          statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
          jump(BPF_JMP | BPF_JGT | BPF_K, static_cast<std::uint32_t>(highest_known), 0, 1),
          refuse(ENOSYS)};
}

Error library_error(int negative_errno, const std::string& what) {
  return Error::from_errno(-negative_errno, "seccomp: " + what);
}

Result<Program> export_program(const Context& context) {
  const UniqueFd file(static_cast<int>(::memfd_create("seccomp", MFD_CLOEXEC)));
  if (!file) return Error::from_errno(errno, "memfd_create");
  if (const int r = ::seccomp_export_bpf(context.get(), file.get()); r < 0) return library_error(r, "export");
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  Program program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (::pread(file.get(), program.data(), static_cast<std::size_t>(size), 0) != size)
    return Error::from_errno(errno, "read the seccomp program");
  return program;
}

Result<Program> compile_calls(const SeccompTables& tables) {
  const auto error_action = [](int error) { return SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)); };
  const std::uint32_t rest = tables.default_error == 0 ? SCMP_ACT_ALLOW : error_action(tables.default_error);
  const Context context(::seccomp_init(rest), &::seccomp_release);
  if (!context) return Error(ErrorCode::internal, "seccomp: init failed");
  if (const int r = ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2); r < 0)
    return library_error(r, "balanced tree");
  for (const SeccompCall& call : tables.calls) {
    const int number = call.name != nullptr ? ::seccomp_syscall_resolve_name(call.name) : call.number;
    if (number < 0) continue;  // a call of another architecture
    const std::uint32_t action = call.error == 0 ? SCMP_ACT_ALLOW : error_action(call.error);
    if (const int r = ::seccomp_rule_add(context.get(), action, number, 0); r < 0)
      return library_error(r, call.name != nullptr ? call.name : "call by number");
  }
  return export_program(context);
}

}  // namespace

Result<Program> compile_seccomp(const SeccompTables& tables) {
  Program program = preamble(tables.highest_known);
  LMSB_CHECK(add_rules(program, tables.arguments));
  LMSB_TRY(const Program calls, compile_calls(tables));
  program.insert(program.end(), calls.begin(), calls.end());
  if (program.size() > 4096) return Error(ErrorCode::internal, "seccomp: the program is longer than the kernel takes");
  return program;
}

std::uint32_t evaluate_seccomp(std::span<const sock_filter> program, int number, std::span<const std::uint64_t> args,
                               std::uint32_t arch) {
  seccomp_data data{};
  data.nr = number;
  data.arch = arch;
  for (std::size_t i = 0; i < args.size() && i < 6; ++i) data.args[i] = args[i];
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& op = program[pc];
    const auto branch = [&](bool taken) { pc += taken ? op.jt : op.jf; };
    switch (op.code) {
      case BPF_LD | BPF_W | BPF_ABS: std::memcpy(&a, reinterpret_cast<const char*>(&data) + op.k, sizeof a); break;
      case BPF_ALU | BPF_AND | BPF_K: a &= op.k; break;
      case BPF_JMP | BPF_JA: pc += op.k; break;
      case BPF_JMP | BPF_JEQ | BPF_K: branch(a == op.k); break;
      case BPF_JMP | BPF_JGT | BPF_K: branch(a > op.k); break;
      case BPF_JMP | BPF_JGE | BPF_K: branch(a >= op.k); break;
      case BPF_JMP | BPF_JSET | BPF_K: branch((a & op.k) != 0); break;
      case BPF_RET | BPF_K: return op.k;
      default: return SECCOMP_RET_KILL_PROCESS;
    }
  }
  return SECCOMP_RET_KILL_PROCESS;
}

}  // namespace lmsb
