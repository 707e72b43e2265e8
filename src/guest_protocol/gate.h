#pragma once
// What launcher, daemon and gate say to each other (docs/adr/0038): the launcher starts a gate with its filter, the
// daemon gives it the sandbox's two sockets and, then and whenever it changes, the policy; the gate tells what it let
// through and what it refused. Fixed-size structs. A gate parses what a sandbox says: what it tells is parsed like
// network input, and can only concern that sandbox.
#include <array>
#include <cstdint>

namespace lmsb::guest_protocol {

constexpr std::uint32_t kGateMagic = 0x4C4D5347;         // "LMSG"
constexpr std::uint32_t kGateStreamsMagic = 0x4C4D5354;  // "LMST"
constexpr std::uint32_t kGateShareMagic = 0x4C4D5348;    // "LMSH"
constexpr std::uint32_t kGateVersion = 3;                // of all of them

// Inside a sandbox with a network: its address (RFC 7600: one that is nobody's), which is its name server's too, and
// the port of its loopback that everything for the outside comes to.
constexpr std::uint32_t kInsideAddress = 0xC0000008;  // 192.0.0.8
constexpr std::uint16_t kInsidePort = 65053;
constexpr std::uint32_t kLoopbackAddress = 0x7F000001;

// From the launcher; one descriptor: a sealed memfd with the seccomp program.
struct GateStart {
  std::uint32_t magic = kGateMagic;
  std::uint32_t version = kGateVersion;
};

// What a gate's cgroup may have, beside its sandbox's own, which counts for it: octets of connections that wait for one
// end or the other, and the kernel's of them.
constexpr std::uint64_t kGateMemory = 64ULL << 20U;

constexpr std::size_t kMaxGateRules = 128;
constexpr std::size_t kMaxHostName = 253;
constexpr std::size_t kMaxResolvers = 3;
constexpr std::size_t kMaxReachable = 16;
constexpr std::size_t kMaxUnreachable = 16;
constexpr std::size_t kMaxGateCredentials = 16;
constexpr std::size_t kMaxCredentialName = 31;

enum class GateMode : std::uint32_t { none, allowlist, open };

// An IPv4 range. In host order; the bits behind `prefix` are 0.
struct GateRange {
  std::uint32_t address = 0;
  std::uint32_t prefix = 0;  // 0..32
  bool operator==(const GateRange&) const = default;
};

// One thing that may be reached.
struct GateRule {
  enum class Kind : std::uint32_t { name, subdomains, range } kind = Kind::name;
  std::uint32_t port = 0;  // 0: 80 and 443
  GateRange range;
  std::array<char, kMaxHostName + 3> name{};  // lower case, NUL-terminated; of `subdomains` what stands behind "*."
};

// A name server of the machine.
struct GateResolver {
  std::uint32_t family = 0;  // AF_INET or AF_INET6
  std::uint32_t port = 53;
  std::array<std::uint8_t, 16> address{};  // network order
};

// A host that requests get a header for, which the daemon puts in (docs/adr/0047). Inside its name is "NAME.internal".
struct GateCredential {
  std::array<char, kMaxCredentialName + 1> name{};  // NUL-terminated
  std::array<char, kMaxHostName + 3> host{};        // the same
  std::uint32_t port = 443;
};

// From the daemon, at first with two descriptors: the TCP socket, bound and not listening yet, and the UDP socket for
// names. What is under way and not allowed any more ends.
struct GatePolicy {
  std::uint32_t magic = kGateMagic;
  GateMode mode = GateMode::none;
  std::uint32_t rule_count = 0;
  std::uint32_t resolver_count = 0;
  std::uint32_t reachable_count = 0;
  std::uint32_t unreachable_count = 0;
  std::uint32_t max_connections = 0;         // at once
  std::uint32_t connections_per_second = 0;  // twice as many at once after a while
  std::uint32_t generation = 0;              // the notes say when it is in force
  std::uint32_t credential_count = 0;
  std::uint64_t bytes_per_second = 0;  // both directions together; 0 = no limit
  std::array<GateResolver, kMaxResolvers> resolvers{};
  std::array<GateRange, kMaxReachable> reachable{};      // parts of the ranges that are always denied, opened by root
  std::array<GateRange, kMaxUnreachable> unreachable{};  // denied by root, whatever else is said
  std::array<GateRule, kMaxGateRules> rules{};
  std::array<GateCredential, kMaxGateCredentials> credentials{};
};

// From the daemon, which was asked for a credential (GateNote::asking). With two stream sockets: on the first one it
// takes the request as the sandbox has sent it and gives the answer, on the second it speaks TLS, which the gate
// carries to the credential's host. With the first alone: it answers by itself. With none: that connection is to be
// reset, also later.
struct GateStreams {
  std::uint32_t magic = kGateStreamsMagic;
  std::uint32_t unused = 0;
  std::uint64_t flow = 0;
};

// From the daemon: another number of connections than the policy says. Those that are too many then go on.
struct GateShare {
  std::uint32_t magic = kGateShareMagic;
  std::uint32_t max_connections = 0;
};

enum class GateVerdict : std::uint32_t {
  allowed,       // connected
  not_listed,    // no rule allows it
  denied_range,  // it lies in, or its name leads to, what is never reachable
  no_name,       // neither Host nor SNI was found where one is needed
  unresolved,    // the name servers do not know it, or do not answer
  unreachable,   // it does not answer
  too_many,      // connections, or such of a second
  changed,       // a connection that was allowed, and is not any more
  count,
};

enum class GateSubject : std::uint32_t { connection, name, credential, count };

// From the gate. Each of them carries all counts, since its start.
struct GateNote {
  std::uint32_t magic = kGateMagic;
  std::uint32_t is_event = 0;  // 1: the next fields are set; 0: only the counts are news
  GateVerdict verdict = GateVerdict::allowed;
  GateSubject subject = GateSubject::connection;  // of the event; name: one was asked for
  std::uint32_t address = 0;                      // 0: none, as of denied_range with a name
  std::uint32_t port = 0;
  std::array<char, kMaxHostName + 3> name{};  // NUL-terminated; "" = none
  std::uint64_t unsaid = 0;                   // events so far that were too many to tell
  std::uint64_t allowed = 0;                  // connections
  std::uint64_t refused = 0;                  // connections and names
  std::uint64_t sent_bytes = 0;               // out of the sandbox
  std::uint64_t received_bytes = 0;
  std::uint32_t connections = 0;                          // now
  std::uint32_t generation = 0;                           // of the policy in force
  std::array<char, kMaxCredentialName + 1> credential{};  // of the event, or of what is asked for; NUL-terminated
  std::uint64_t asking = 0;                               // the flow that waits for GateStreams; 0: none
};

}  // namespace lmsb::guest_protocol
