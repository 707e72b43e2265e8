// The system-call filter against a second reading of its tables: what the compiled program answers to a call is what
// the tables say about it, whatever the arguments. Also for tables that are made up, so that the compiler is tried by
// more than the rules of today.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <map>
#include <string>
#include <vector>

#include <seccomp.h>

#include "fuzz.h"
#include "sandbox/seccomp_table.h"

namespace {

using lmsb::SeccompArgument;
using lmsb::SeccompCall;
using lmsb::SeccompTables;
using Program = std::vector<sock_filter>;

struct Call {
  int number;
  std::uint32_t arch;
  std::array<std::uint64_t, 6> args;
};

int number_of(const char* name) {
  static std::map<std::string, int> known;
  const auto [entry, is_new] = known.try_emplace(name, 0);
  if (is_new) entry->second = ::seccomp_syscall_resolve_name(name);
  return entry->second;
}

std::uint32_t answer(int error) {
  return error == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error);
}

std::uint32_t half_of(std::uint64_t value, SeccompArgument::Half half) {
  return static_cast<std::uint32_t>(half == SeccompArgument::Half::high ? value >> 32U : value);
}

bool refuses(const SeccompArgument& rule, const Call& call) {
  using Test = SeccompArgument::Test;
  if (rule.when_index < 6) {
    const std::uint32_t when = half_of(call.args[rule.when_index], SeccompArgument::Half::low);
    if ((when & rule.when_mask) != rule.when_value) return false;
  }
  const std::uint32_t value = half_of(call.args[rule.index], rule.half) & rule.mask;
  const bool is_listed = std::find(rule.values.begin(), rule.values.end(), value) != rule.values.end();
  switch (rule.test) {
    case Test::refuse_if_equal: return is_listed;
    case Test::refuse_unless_equal: return !is_listed;
    case Test::refuse_if_any_bit: return value != 0;
  }
  return true;
}

// What the tables say, read as their header explains them.
std::uint32_t expected(const SeccompTables& tables, const Call& call) {
  constexpr std::uint32_t kX32Bit = 0x40000000;
  const auto number = static_cast<std::uint32_t>(call.number);
  if (call.arch != AUDIT_ARCH_X86_64 || number >= kX32Bit) return SECCOMP_RET_KILL_PROCESS;
  if (number > static_cast<std::uint32_t>(tables.highest_known)) return answer(ENOSYS);
  for (const SeccompArgument& rule : tables.arguments)
    if (number_of(rule.call) == call.number && refuses(rule, call))
      return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(rule.error);
  for (const SeccompCall& entry : tables.calls)
    if ((entry.name != nullptr ? number_of(entry.name) : entry.number) == call.number) return answer(entry.error);
  return answer(tables.default_error);
}

template <typename T>
T take(lmsb::fuzz::Input& input) {
  T value{};
  const std::string_view octets = input.take(sizeof value);
  std::memcpy(&value, octets.data(), octets.size());
  return value;
}

Call take_call(lmsb::fuzz::Input& input, const SeccompTables& tables) {
  Call call{};
  const std::uint8_t kind = input.octet();
  call.number = kind % 4 == 0 ? take<std::int32_t>(input) : take<std::uint16_t>(input) % 512;
  if (kind % 4 == 1 && !tables.arguments.empty())  // one that has rules
    call.number = number_of(tables.arguments[static_cast<std::size_t>(call.number) % tables.arguments.size()].call);
  call.arch = kind < 4 ? take<std::uint32_t>(input) : AUDIT_ARCH_X86_64;
  for (std::uint64_t& arg : call.args) {
    arg = take<std::uint64_t>(input);
    // Few values of 64 bits are near those that rules are about.
    if (kind % 2 == 1 && !tables.arguments.empty()) {
      const SeccompArgument& rule = tables.arguments[arg % tables.arguments.size()];
      if (!rule.values.empty()) arg = rule.values[(arg >> 8U) % rule.values.size()] ^ (arg >> 16U & 0x100000001U);
    }
  }
  return call;
}

void compare(const SeccompTables& tables, const Program& program, lmsb::fuzz::Input& input) {
  while (!input.empty()) {
    const Call call = take_call(input, tables);
    LMSB_ASSERT(lmsb::evaluate_seccomp(program, call.number, call.args, call.arch) == expected(tables, call));
  }
}

constexpr std::array<const char*, 6> kNames = {"read", "ioctl", "socket", "prctl", "clone", "openat"};

// Rules of `input`'s making; those of a call stand together.
std::vector<SeccompArgument> make_rules(lmsb::fuzz::Input& input, const std::vector<std::uint32_t>& values) {
  std::vector<SeccompArgument> rules;
  const std::size_t count = input.octet() % 12U;
  for (std::size_t i = 0; i < count; ++i) {
    SeccompArgument rule{};
    rule.call = kNames[input.octet() % kNames.size()];
    rule.index = input.octet() % 6U;
    rule.mask = take<std::uint32_t>(input);
    rule.test = static_cast<SeccompArgument::Test>(input.octet() % 3U);
    const std::size_t first = input.octet() % values.size();
    rule.values = std::span(values).subspan(first, input.octet() % (values.size() - first + 1));
    rule.error = input.octet();
    rule.when_index = input.octet() % 8U;
    rule.when_mask = take<std::uint32_t>(input);
    rule.when_value = values[input.octet() % values.size()] & rule.when_mask;
    rule.half = static_cast<SeccompArgument::Half>(input.octet() % 2U);
    rules.push_back(rule);
  }
  std::stable_sort(rules.begin(), rules.end(),
                   [](const auto& a, const auto& b) { return std::string_view(a.call) < b.call; });
  return rules;
}

void try_made_up_tables(lmsb::fuzz::Input& input) {
  std::vector<std::uint32_t> values(8);
  for (std::uint32_t& value : values) value = take<std::uint16_t>(input);
  const std::vector<SeccompArgument> rules = make_rules(input, values);
  constexpr std::array<SeccompCall, 4> kCalls = {
      {{"read", 0, 0}, {"ioctl", 0, 0}, {nullptr, 300, ENOSYS}, {"clone", 0, EPERM}}};
  const SeccompTables tables = {kCalls, rules, EINVAL, 400};
  const auto program = lmsb::compile_seccomp(tables);
  LMSB_ASSERT(program.ok());
  compare(tables, *program, input);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const SeccompTables kTables = lmsb::sandbox::seccomp_tables(lmsb::guest_protocol::Profile::user);
  static const Program kProgram = *lmsb::compile_seccomp(kTables);
  lmsb::fuzz::Input input(data, size);
  if (input.octet() % 16 == 0)
    try_made_up_tables(input);
  else
    compare(kTables, kProgram, input);
  return 0;
}
