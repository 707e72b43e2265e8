#pragma once
// The seccomp tables of a sandbox (containment.md 3.2): one program for everything inside; commands get one more
// filter that takes clone3 away (guest/posture.h).
#include "guest_protocol/profile.h"
#include "os/seccomp_compiler.h"

namespace lmsb::sandbox {

// Constant tables; valid for the life of the program.
SeccompTables seccomp_tables(guest_protocol::Profile profile);

}  // namespace lmsb::sandbox
