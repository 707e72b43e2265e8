#pragma once
// Registry: the kept sandboxes, by id and by name, and who may see them. One thread. What it points to is there until
// the caller waits for something, or takes it out.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/command_run.h"
#include "control/control.h"
#include "control/life.h"
#include "control/model_allowance.h"
#include "control/sandbox_handle.h"
#include "io/event.h"

namespace lmsb::control {

class ProcessTable;  // control/processes.h

// A sandbox in which something may start now; it is in use as long as this lives. Cheap: nothing is copied.
struct Visit {
  std::shared_ptr<SandboxHandle> sandbox;
  std::shared_ptr<ProcessTable> processes;
  std::shared_ptr<const ImageDefaults> defaults;
  Life::Use use;
};

// A change of a sandbox's state, or of its disk, that takes a while.
struct Move {
  explicit Move(boost::asio::io_context& loop) : ended(loop) {}
  bool is_over = false;
  io::Event ended;
};

// A sandbox's part in a volume: that is in use as long as more than the volume's own is there.
using VolumeUse = std::shared_ptr<const void>;
using VolumeUses = std::vector<VolumeUse>;

struct KeptSandbox {
  SandboxInfo info;
  Limits made_with;  // info.limits when it was last started
  std::string owner;
  bool has_mounts = false;                // directories of the machine, or devices
  VolumeUses volume_uses;                 // of info.volumes
  std::shared_ptr<SandboxHandle> handle;  // shared with the commands that run in it; null: stopped, or lost
  std::shared_ptr<ProcessTable> processes;
  // What every command in it begins with: the image's and the sandbox's variables and directory.
  std::shared_ptr<const ImageDefaults> defaults;
  std::shared_ptr<ModelAllowance> models;  // of info.models; null: it has none
  std::shared_ptr<Life> life;
  std::optional<Life::Clock::time_point> told_end;  // what info.expires_at says
  // Set while it is being paused, stopped or started, its limits are being changed, or its disk is being copied or put
  // back: who wants to do one of these as well waits for it, and looks again.
  std::shared_ptr<Move> moving;
  // While somebody has it the sandbox counts for its owner as one that lives (Quotas::take_running()): while it is
  // about to be started, and until what it had is given back.
  std::weak_ptr<const void> counts_as_running;
  // Set from when its row is to say that it goes until it is out of the registry, or that could not be written down.
  std::shared_ptr<Move> removing;
  std::optional<SandboxState> state_to_be;  // what its row says already, while that is being written down
  bool is_provisional = false;  // others that are made with it are not all there: its row says that it is to go
  bool is_stopping = false;     // what runs in it has been asked to end; it says `running` until it has

  // The state that it is in: its guest may have ended.
  SandboxState state() const;
  SandboxInfo describe() const;
  Result<Visit> visit() const;  // Errors: sandbox_paused, sandbox_stopping, sandbox_stopped, disk_lost
  // The same for who talks to what runs already: also while it is being stopped.
  Result<Visit> visit_to_talk() const;
  // Goes to another state; only to one that may follow (sandbox_state.h).
  void move_to(SandboxState state);
};

// Of a sandbox in state `lost`.
Error disk_lost(const std::string& id);
Error being_stopped(const std::string& id);  // sandbox_stopping

class Registry {
 public:
  // Returns it where it stays. Errors: already_exists (the name), resource_exhausted (more than `kMaxSandboxes`).
  Result<KeptSandbox*> add(KeptSandbox sandbox);
  // By its whole id alone: what the daemon itself means. Errors: sandbox_not_found.
  Result<KeptSandbox*> get(const std::string& id);
  // By id, name, or unique prefix of an id; only what `who` may see. Errors: sandbox_not_found,
  // sandbox_ambiguous.
  Result<KeptSandbox*> find(const Principal& who, const std::string& id_or_name);
  // The same for who is about to start something in it. Errors, beside those: those of KeptSandbox::visit().
  Result<Visit> visit(const Principal& who, const std::string& id_or_name);
  // The same for who might do so before he waited. Errors: sandbox_lost (it is gone), sandbox_not_found (he sees it no
  // more), and those of KeptSandbox::visit().
  Result<Visit> come_back(const Principal& who, const std::string& id);
  Result<SandboxPage> list(const Principal& who, std::optional<SandboxState> state,
                           const std::map<std::string, std::string>& labels, std::size_t limit,
                           const std::string& cursor) const;
  // Nothing: it is not there.
  std::optional<KeptSandbox> take(const std::string& id);
  bool has_name(const std::string& name) const;
  std::size_t size() const { return by_id_.size(); }
  std::map<std::string, KeptSandbox>& all() { return by_id_; }
  // All of them; none is left.
  std::map<std::string, KeptSandbox> take_all() { return std::exchange(by_id_, {}); }

  static constexpr std::size_t kMaxSandboxes = 10'000;

 private:
  std::map<std::string, KeptSandbox> by_id_;
};

}  // namespace lmsb::control
