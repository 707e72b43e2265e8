#include "control/ports.h"

#include <algorithm>
#include <utility>

#include "control/command_start.h"
#include "control/port_reader.h"
#include "guest_protocol/gate.h"
#include "guest_protocol/messages.h"
#include "guest_protocol/port_records.h"
#include "io/foreign_pipe.h"

namespace lmsb::control {
namespace {

constexpr std::chrono::milliseconds kListLimit{10'000};
constexpr std::size_t kMaxRecords = sizeof(guest_protocol::PortRecord) * guest_protocol::kMaxListedPorts;
constexpr std::size_t kMaxDescribed = 8;

// All of a pipe, or its first `limit` octets.
io::Task<std::string> read_pipe(io::ForeignPipe pipe, std::size_t limit, io::Deadline deadline) {
  std::string whole;
  while (whole.size() < limit) {
    LMSB_CO_TRY(const std::string piece, co_await pipe.read(limit - whole.size(), deadline));
    if (piece.empty()) break;
    whole += piece;
  }
  co_return whole;
}

// Where the guest itself listens: for a network, or for models.
bool is_guests(const ListeningPort& port) {
  const bool is_known = port.port == guest_protocol::kInsidePort || port.port == guest_protocol::kModelPort;
  return is_known && port.pid == 0 && port.address == "127.0.0.1";
}

// Runs the program that lists, which ends with this.
io::Task<std::vector<ListeningPort>> ask(std::shared_ptr<SandboxHandle> sandbox) {
  guest_client::StartSpec spec;
  spec.program = guest_protocol::Program::ports;
  spec.argv = {"ports"};
  const auto deadline = io::Deadline::in(kListLimit);
  spec.deadline_ms = static_cast<std::uint64_t>(kListLimit.count()) + kSpareMs;
  LMSB_CO_TRY(auto process, sandbox->channel().start(spec, -1));
  LMSB_CO_CHECK(co_await process.wait_started(deadline));
  io::ForeignPipe output = process.take_stdout();
  if (!output)
    co_return Error(ErrorCode::unavailable, "the sandbox has no room for the process that lists its ports")
        .with_slug("port_list_failed")
        .with_hint("the sandbox may be at its limit of processes or memory");
  LMSB_CO_TRY(const std::string records, co_await read_pipe(std::move(output), kMaxRecords, deadline));
  std::vector<ListeningPort> ports = read_ports(records);
  ports.erase(std::remove_if(ports.begin(), ports.end(), is_guests), ports.end());
  co_return ports;
}

}  // namespace

struct Ports::Counts {
  std::size_t total = 0;
  std::map<std::string, std::size_t> of_owner;
  std::map<std::string, std::size_t> of_sandbox;
};

// One of the bounded number, given back with its end.
class Ports::Place {
 public:
  Place(std::shared_ptr<Counts> counts, std::string owner, std::string sandbox)
      : counts_(std::move(counts)), owner_(std::move(owner)), sandbox_(std::move(sandbox)) {
    ++counts_->total;
    ++counts_->of_owner[owner_];
    ++counts_->of_sandbox[sandbox_];
  }
  ~Place() {
    if (!counts_) return;
    --counts_->total;
    if (--counts_->of_owner[owner_] == 0) counts_->of_owner.erase(owner_);
    if (--counts_->of_sandbox[sandbox_] == 0) counts_->of_sandbox.erase(sandbox_);
  }
  Place(Place&&) noexcept = default;
  Place& operator=(Place&&) = delete;

 private:
  std::shared_ptr<Counts> counts_;  // null: moved from
  std::string owner_;
  std::string sandbox_;
};

// What a connection holds as long as it lives; the socket ends first.
struct Ports::Connection {
  Place place;
  Life::Use use;
  guest_client::PortSocket socket;
};

Ports::Ports(boost::asio::io_context& loop, Registry& registry, EventLog& events)
    : loop_(loop), registry_(registry), events_(events), counts_(std::make_shared<Counts>()) {}

Result<Ports::Place> Ports::take_place(const Principal& who, const std::string& sandbox) {
  const auto count = [](const auto& map, const std::string& key) {
    const auto found = map.find(key);
    return found == map.end() ? 0 : found->second;
  };
  if (counts_->total < kMaxPlaces && count(counts_->of_owner, who.name) < kMaxOfOwner &&
      count(counts_->of_sandbox, sandbox) < kMaxOfSandbox)
    return Place(counts_, who.name, sandbox);
  return Error(ErrorCode::resource_exhausted, "too many connections to ports of sandboxes are open")
      .with_slug("too_many_port_connections")
      .with_hint("close some of them: 256 may be open to a sandbox, 512 of one caller, 1024 in all");
}

io::Task<io::HeldSocket> Ports::connect(Principal who, std::string sandbox, std::uint16_t port) {
  if (port == 0)
    co_return Error(ErrorCode::invalid_argument, "a port is a number from 1 to 65535").with_slug("invalid_port");
  LMSB_CO_TRY(auto visit, registry_.visit(who, sandbox));
  LMSB_CO_TRY(auto place, take_place(who, visit.sandbox->id()));
  auto socket = co_await visit.sandbox->channel().connect_port(port);
  if (socket.ok()) {
    Connection connection{std::move(place), std::move(visit.use), *std::move(socket)};
    const auto held = std::make_shared<Connection>(std::move(connection));
    co_return io::HeldSocket(held, held->socket.fd());
  }
  Error error = std::move(socket).error();
  if (error.slug() != "port_not_listening") co_return error;
  const Result<std::string> listening = co_await describe(std::move(visit.sandbox));
  const std::string hint = listening.ok() ? *listening : "start a server there first";
  co_return Error(error.code(), "nothing listens on port " + std::to_string(port) + " of the sandbox's loopback")
      .with_slug("port_not_listening")
      .with_hint(hint);
}

io::Task<std::string> Ports::describe(std::shared_ptr<SandboxHandle> sandbox) {
  LMSB_CO_TRY(const auto ports, co_await ask(std::move(sandbox)));
  if (ports.empty()) co_return "start a server there first: nothing listens in the sandbox at all";
  std::string text = "these ports listen:";
  std::size_t named = 0;
  std::uint16_t last = 0;
  for (const ListeningPort& port : ports) {
    if (port.port == last) continue;
    if (++named > kMaxDescribed) break;
    text += (named == 1 ? " " : ", ") + std::to_string(port.port);
    last = port.port;
  }
  co_return text + (named > kMaxDescribed ? ", and more" : "");
}

Result<std::string> Ports::may_connect(const Principal& who, const std::string& sandbox) {
  LMSB_TRY(const KeptSandbox* found, registry_.find(who, sandbox));
  return found->info.id;
}

// Never the token: whoever could read the log could use it.
void Ports::note_preview(const Principal& by, const std::string& sandbox, std::uint16_t port,
                         const std::string& expires_at) {
  events_.note("preview.created",
               {{"sandbox_id", sandbox}, {"port", std::to_string(port)}, {"expires_at", expires_at}, {"by", by.name}});
}

io::Task<std::vector<ListeningPort>> Ports::list(Principal who, std::string sandbox) {
  LMSB_CO_TRY(auto visit, registry_.visit(who, sandbox));
  LMSB_CO_TRY(const auto place, take_place(who, visit.sandbox->id()));
  co_return co_await ask(std::move(visit.sandbox));
}

}  // namespace lmsb::control
