#pragma once
// The output of a process that its guest keeps: a piece, where that stands which came in a time, or event by event.
// What a shell would have said of a program that cannot be executed is output, too, though no guest has it.
#include <memory>

#include "control/process_service.h"
#include "control/processes.h"

namespace lmsb::control {

// As ProcessService has them. The record lives as long as they take.
io::Task<OutputPiece> read_kept(std::shared_ptr<ProcessRecord> record, OutputAsked asked);
io::Task<OutputSpan> find_kept(std::shared_ptr<ProcessRecord> record, Stream stream, OutputPeriod period);
// Where a stream is cut after the verdict is known, it ends in an error.
std::shared_ptr<CommandStream> follow_kept(std::shared_ptr<ProcessRecord> record, FollowFrom from);

}  // namespace lmsb::control
