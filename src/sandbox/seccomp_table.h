#pragma once
// The seccomp tables of a sandbox (containment.md 3.2): one program for everything inside; commands get one more
// filter that takes clone3 and setns away (guest/posture.h).
#include "guest_protocol/profile.h"
#include "os/seccomp_compiler.h"

namespace lmsb::sandbox {

// Files with the setuid or setgid bit. Inside they do nothing (no mount has them in force, and no_new_privs); but on a
// directory of the machine they would work for everybody outside, so where one is mounted nobody makes them.
enum class SetIdFiles : std::uint8_t { refused, allowed };

// Constant tables; valid for the life of the program. Only Profile::root may make such files.
SeccompTables seccomp_tables(guest_protocol::Profile profile, SetIdFiles set_id_files = SetIdFiles::refused);

}  // namespace lmsb::sandbox
