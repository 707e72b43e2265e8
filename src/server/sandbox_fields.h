#pragma once
// A sandbox as JSON, and the fields of its life.
#include <string>

#include "control/control.h"
#include "json/reader.h"
#include "json/writer.h"
#include "network/egress.h"

namespace lmsb::server {

void write_sandbox(json::Writer& out, const control::SandboxInfo& info);
void write_egress(json::Writer& out, const network::Egress& egress);
std::string sandbox_text(const control::SandboxInfo& info);

// timeout_ms, idle_ms, on_timeout, on_idle.
void read_life(json::ObjectReader& reader, control::LifeChanges& out);

}  // namespace lmsb::server
