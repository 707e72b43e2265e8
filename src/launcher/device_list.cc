#include "launcher/device_list.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <linux/bpf.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "base/unique_fd.h"
#include "guest_protocol/profile.h"

namespace lmsb::launcher {
namespace {

// Registers: what is asked for, and of which device.
enum Register : std::uint8_t { answer = BPF_REG_0, context = BPF_REG_1, access, major_number, minor_number, scratch };

class Program {
 public:
  void load(Register to, std::int16_t offset) { add(BPF_LDX | BPF_W | BPF_MEM, to, context, offset, 0); }
  void copy(Register to, Register from) { add(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void keep_bits(Register of, std::int32_t bits) { add(BPF_ALU64 | BPF_AND | BPF_K, of, 0, 0, bits); }
  void shift_right(Register of, std::int32_t by) { add(BPF_ALU64 | BPF_RSH | BPF_K, of, 0, 0, by); }
  void skip_unless(Register is, std::int32_t value, std::int16_t count) {
    add(BPF_JMP | BPF_JNE | BPF_K, is, 0, count, value);
  }
  void end_with(std::int32_t value) {
    add(BPF_ALU64 | BPF_MOV | BPF_K, answer, 0, 0, value);
    add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }
  static constexpr std::int16_t kEnd = 2;  // instructions of end_with()

  const std::vector<bpf_insn>& instructions() const { return instructions_; }

 private:
  void add(int code, std::uint8_t to, std::uint8_t from, std::int16_t offset, std::int32_t value) {
    bpf_insn instruction{};
    instruction.code = static_cast<std::uint8_t>(code);
    instruction.dst_reg = to & 0xfU;
    instruction.src_reg = from & 0xfU;
    instruction.off = offset;
    instruction.imm = value;
    instructions_.push_back(instruction);
  }
  std::vector<bpf_insn> instructions_;
};

struct Device {
  unsigned major_number;
  std::optional<unsigned> minor_number;  // any
};

std::vector<Device> listed(const std::vector<sandbox::TableNode>& more) {
  std::vector<Device> devices = {{5, 2} /* ptmx */, {136, {}} /* pts */};
  for (const guest_protocol::DeviceNode& node : guest_protocol::kDevices) devices.push_back({node.major, node.minor});
  for (const sandbox::TableNode& node : more)
    if (!node.is_block) devices.push_back({node.major, node.minor});
  return devices;
}

// The context is struct bpf_cgroup_dev_ctx: what is asked for above the kind of device, major, minor.
Program make_program(const std::vector<sandbox::TableNode>& more) {
  Program program;
  program.load(access, 0);
  program.load(major_number, 4);
  program.load(minor_number, 8);
  program.copy(scratch, access);
  program.keep_bits(scratch, 0xffff);
  program.skip_unless(scratch, BPF_DEVCG_DEV_BLOCK, Program::kEnd);
  program.end_with(0);
  program.shift_right(access, 16);
  program.keep_bits(access, BPF_DEVCG_ACC_MKNOD);
  program.skip_unless(access, BPF_DEVCG_ACC_MKNOD, Program::kEnd);
  program.end_with(0);
  for (const Device& device : listed(more)) {
    const auto rest = static_cast<std::int16_t>(Program::kEnd + (device.minor_number ? 1 : 0));
    program.skip_unless(major_number, static_cast<std::int32_t>(device.major_number), rest);
    if (device.minor_number)
      program.skip_unless(minor_number, static_cast<std::int32_t>(*device.minor_number), Program::kEnd);
    program.end_with(1);
  }
  program.end_with(0);
  return program;
}

long bpf(int command, bpf_attr& attributes) { return ::syscall(SYS_bpf, command, &attributes, sizeof attributes); }

// Shorter than BPF_OBJ_NAME_LEN. One with more devices has another name, which follows from them.
constexpr std::string_view kName = "lmsb_devices";
constexpr std::string_view kNameOfAny = "lmsb_dev";

std::string name_of(const std::vector<sandbox::TableNode>& more) {
  if (more.empty()) return std::string(kName);
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const sandbox::TableNode& node : more)
    for (const unsigned number : {node.major, node.minor}) hash = (hash ^ number) * 16777619U;
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%s%06x", kNameOfAny.data(), hash & 0xffffffU);
  return text.data();
}

UniqueFd open_program(std::uint32_t id) {
  bpf_attr open{};
  open.prog_id = id;
  return UniqueFd(static_cast<int>(bpf(BPF_PROG_GET_FD_BY_ID, open)));
}

std::string name_of(const UniqueFd& program) {
  bpf_prog_info info{};
  bpf_attr ask{};
  ask.info.bpf_fd = static_cast<std::uint32_t>(program.get());
  ask.info.info_len = sizeof info;
  ask.info.info = reinterpret_cast<std::uint64_t>(&info);
  return program && bpf(BPF_OBJ_GET_INFO_BY_FD, ask) == 0 ? info.name : "";
}

// By their names: what others have put there says nothing of ours.
std::vector<UniqueFd> lists_of_ours(int directory) {
  std::vector<UniqueFd> ours;
  std::array<std::uint32_t, 64> ids{};  // the kernel takes no more on one cgroup
  bpf_attr query{};
  query.query.target_fd = static_cast<std::uint32_t>(directory);
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = reinterpret_cast<std::uint64_t>(ids.data());
  query.query.prog_cnt = ids.size();
  if (bpf(BPF_PROG_QUERY, query) != 0) return ours;
  for (std::size_t i = 0; i < std::min<std::size_t>(query.query.prog_cnt, ids.size()); ++i) {
    UniqueFd program = open_program(ids[i]);
    if (name_of(program).starts_with(kNameOfAny)) ours.push_back(std::move(program));
  }
  return ours;
}

void take_away(int directory, const UniqueFd& list) {
  bpf_attr detach{};
  detach.target_fd = static_cast<std::uint32_t>(directory);
  detach.attach_bpf_fd = static_cast<std::uint32_t>(list.get());
  detach.attach_type = BPF_CGROUP_DEVICE;
  (void)bpf(BPF_PROG_DETACH, detach);  // if it stays, less is allowed
}

Result<UniqueFd> load_list(const std::vector<sandbox::TableNode>& more) {
  const Program program = make_program(more);
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<std::uint64_t>(program.instructions().data());
  load.insn_cnt = static_cast<std::uint32_t>(program.instructions().size());
  load.license = reinterpret_cast<std::uint64_t>("");
  (void)name_of(more).copy(load.prog_name, sizeof load.prog_name - 1);
  UniqueFd loaded(static_cast<int>(bpf(BPF_PROG_LOAD, load)));
  if (!loaded) return Error::from_errno(errno, "load the list of devices");
  return loaded;
}

Status put_on(int directory, const UniqueFd& list) {
  bpf_attr attach{};
  attach.target_fd = static_cast<std::uint32_t>(directory);
  attach.attach_bpf_fd = static_cast<std::uint32_t>(list.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;  // beside whatever the service manager has put above
  if (bpf(BPF_PROG_ATTACH, attach) < 0) return Error::from_errno(errno, "put the list of devices on the cgroup");
  return {};
}

}  // namespace

// The new one first: both together allow less.
Status list_devices_v2(int directory, const std::vector<sandbox::TableNode>& more) {
  const std::vector<UniqueFd> before = lists_of_ours(directory);
  const std::string name = name_of(more);
  const auto is_it = [&name](const UniqueFd& list) { return name_of(list) == name; };
  if (std::none_of(before.begin(), before.end(), is_it)) {
    LMSB_TRY(const UniqueFd list, load_list(more));
    LMSB_CHECK(put_on(directory, list));
  }
  for (const UniqueFd& list : before)
    if (!is_it(list)) take_away(directory, list);
  return {};
}

}  // namespace lmsb::launcher
