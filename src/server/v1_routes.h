#pragma once
// The routes under /v1, a file for each resource (v1_*.cc). `control` outlives the table.
#include "control/control.h"
#include "server/previews.h"
#include "server/routes.h"

namespace lmsb::server {

void add_run_routes(RouteTable& table, control::Control& control);  // v1_run.cc: POST /v1/run
// v1_sandboxes.cc: create, list, get, delete.
void add_sandbox_routes(RouteTable& table, control::Control& control);
// v1_lifecycle.cc: PATCH /v1/sandboxes/{id}, .../pause, resume, stats, egress
void add_lifecycle_routes(RouteTable& table, control::Control& control);
// v1_snapshots.cc
void add_snapshot_routes(RouteTable& table, control::Control& control);
// v1_volumes.cc
void add_volume_routes(RouteTable& table, control::Control& control);
void add_key_routes(RouteTable& table, control::Control& control);      // v1_keys.cc
void add_event_routes(RouteTable& table, control::Control& control);    // v1_events.cc: GET /v1/events
void add_exec_routes(RouteTable& table, control::Control& control);     // v1_exec.cc: POST /v1/sandboxes/{id}/exec
void add_session_routes(RouteTable& table, control::Control& control);  // v1_sessions.cc: shell sessions
void add_process_routes(RouteTable& table, control::Control& control);  // v1_processes.cc
void add_log_routes(RouteTable& table, control::Control& control);      // v1_logs.cc: of all its processes
void add_pty_routes(RouteTable& table, control::Control& control);      // v1_pty.cc: a terminal
// v1_ports.cc: what listens, by path and as octets; URLs for browsers.
void add_port_routes(RouteTable& table, control::Control& control, const Doors& doors, const Previews& previews);
// v1_files.cc: GET, HEAD, PUT, DELETE .../files; GET, PUT .../archive
void add_file_routes(RouteTable& table, control::Control& control);
// v1_file_operations.cc: .../files/list, stat, mkdir, move, copy, chmod, glob, grep, replace
void add_file_operation_routes(RouteTable& table, control::Control& control);
void add_file_watch_routes(RouteTable& table, control::Control& control);     // v1_file_watch.cc
void add_image_routes(RouteTable& table, control::Control& control);          // v1_images.cc
void add_model_list_routes(RouteTable& table, control::Control& control);     // v1_models.cc: list, get
void add_model_routes(RouteTable& table, control::Control& control);          // v1_models.cc: these, and all below
void add_model_detail_routes(RouteTable& table, control::Control& control);   // v1_model_details.cc
void add_model_loading_routes(RouteTable& table, control::Control& control);  // v1_model_loading.cc
void add_ledger_routes(RouteTable& table, control::Control& control);         // v1_ledger.cc: GET /v1/ledger
// v1_info.cc
void add_info_routes(RouteTable& table, control::Control& control, const Previews& previews);

}  // namespace lmsb::server
