#include "launcher/device_list.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/bpf.h>
#include <optional>
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

std::vector<Device> listed() {
  std::vector<Device> devices = {{5, 2} /* ptmx */, {136, {}} /* pts */};
  for (const guest_protocol::DeviceNode& node : guest_protocol::kDevices) devices.push_back({node.major, node.minor});
  return devices;
}

// The context is struct bpf_cgroup_dev_ctx: what is asked for above the kind of device, major, minor.
Program make_program() {
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
  for (const Device& device : listed()) {
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

constexpr std::string_view kName = "lmsb_devices";  // shorter than BPF_OBJ_NAME_LEN

bool is_ours(std::uint32_t id) {
  bpf_attr open{};
  open.prog_id = id;
  const UniqueFd program(static_cast<int>(bpf(BPF_PROG_GET_FD_BY_ID, open)));
  bpf_prog_info info{};
  bpf_attr ask{};
  ask.info.bpf_fd = static_cast<std::uint32_t>(program.get());
  ask.info.info_len = sizeof info;
  ask.info.info = reinterpret_cast<std::uint64_t>(&info);
  return program && bpf(BPF_OBJ_GET_INFO_BY_FD, ask) == 0 && kName == info.name;
}

// By its name: what others have put there says nothing of ours.
bool has_list(int directory) {
  std::array<std::uint32_t, 64> ids{};  // the kernel takes no more on one cgroup
  bpf_attr query{};
  query.query.target_fd = static_cast<std::uint32_t>(directory);
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = reinterpret_cast<std::uint64_t>(ids.data());
  query.query.prog_cnt = ids.size();
  if (bpf(BPF_PROG_QUERY, query) != 0) return false;
  return std::any_of(ids.begin(), ids.begin() + std::min<std::size_t>(query.query.prog_cnt, ids.size()), is_ours);
}

}  // namespace

Status list_devices_v2(int directory) {
  if (has_list(directory)) return {};
  const Program program = make_program();
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<std::uint64_t>(program.instructions().data());
  load.insn_cnt = static_cast<std::uint32_t>(program.instructions().size());
  load.license = reinterpret_cast<std::uint64_t>("");
  (void)kName.copy(load.prog_name, sizeof load.prog_name - 1);
  const UniqueFd loaded(static_cast<int>(bpf(BPF_PROG_LOAD, load)));
  if (!loaded) return Error::from_errno(errno, "load the list of devices");
  bpf_attr attach{};
  attach.target_fd = static_cast<std::uint32_t>(directory);
  attach.attach_bpf_fd = static_cast<std::uint32_t>(loaded.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;  // beside whatever the service manager has put above
  if (bpf(BPF_PROG_ATTACH, attach) < 0) return Error::from_errno(errno, "put the list of devices on the cgroup");
  return {};
}

}  // namespace lmsb::launcher
