#include <algorithm>
#include <utility>
#include <vector>

#include "control/processes.h"

namespace lmsb::control {

Reading::Reading(std::shared_ptr<ProcessRecord> record) : record_(std::move(record)) { ++record_->readers; }

void Reading::end() {
  const auto record = std::exchange(record_, nullptr);
  if (!record) return;
  --record->readers;
  record->changed.notify_all();
}

std::shared_ptr<ProcessRecord> ProcessTable::find(const std::string& id) const {
  const auto found = std::find_if(records_.begin(), records_.end(), [&](const auto& r) { return r->info.id == id; });
  return found == records_.end() ? nullptr : *found;
}

std::shared_ptr<CommandInput> ProcessTable::take_input(boost::asio::io_context& loop, const std::string& id) {
  std::erase_if(inputs_, [](const auto& entry) { return entry.second.expired(); });
  auto input = std::make_shared<CommandInput>(loop);
  inputs_[id] = input;
  return input;
}

std::shared_ptr<CommandInput> ProcessTable::input_of(const std::string& id) const {
  const auto found = inputs_.find(id);
  return found == inputs_.end() ? nullptr : found->second.lock();
}

void ProcessTable::remove(const std::string& id) {
  std::erase_if(records_, [&](const auto& record) { return record->info.id == id; });
}

bool ProcessTable::make_room(std::size_t limit) {
  while (records_.size() >= limit) {
    std::shared_ptr<ProcessRecord> first;
    for (const auto& record : records_)
      if (record->info.result && (!first || record->info.ended_at < first->info.ended_at)) first = record;
    if (!first) return false;
    first->process.forget();
    remove(first->info.id);
  }
  return true;
}

void ProcessTable::hang_up() const {
  for (const auto& record : records_)
    if (record->info.has_terminal && !record->info.result) record->process.hang_up();
}

io::Task<void> ProcessTable::wait_heard(io::Deadline deadline) const {
  const auto records = records_;
  for (const auto& record : records)
    while (record->readers > 0) LMSB_CO_CHECK(co_await record->changed.wait(deadline));
  std::vector<std::shared_ptr<ShellSession>> busy;
  for (const auto& [name, session] : sessions)
    if (session) busy.push_back(session);
  for (const auto& session : busy) LMSB_CO_CHECK(co_await ShellSession::wait_idle(session, deadline));
  co_return Status();
}

}  // namespace lmsb::control
