#pragma once
// commands: what each command does. All of them print to `console`, block until done, and return the exit status of
// the program; an Error is printed by the caller, which also chooses the exit status for it.
#include "base/result.h"
#include "cli/command_line.h"
#include "cli/console.h"

namespace lmsb::cli {

Result<int> execute(const HelpCommand& command, Console& console);
Result<int> execute(const OverviewCommand& command, Console& console);
Result<int> execute(const CompletionCommand& command, Console& console);
Result<int> execute(const CompleteCommand& command, Console& console);
Result<int> execute(const ManCommand& command, Console& console);
Result<int> execute(const VersionCommand& command, Console& console);
Result<int> execute(const RunCommand& command, Console& console);
Result<int> execute(const ExecCommand& command, Console& console);
Result<int> execute(const LogsCommand& command, Console& console);
Result<int> execute(const WaitCommand& command, Console& console);
Result<int> execute(const TopCommand& command, Console& console);
Result<int> execute(const KillCommand& command, Console& console);
Result<int> execute(const CopyCommand& command, Console& console);
Result<int> execute(const CreateCommand& command, Console& console);
Result<int> execute(const StateCommand& command, Console& console);
Result<int> execute(const SnapshotCommand& command, Console& console);
Result<int> execute(const SnapshotListCommand& command, Console& console);
Result<int> execute(const SnapshotInspectCommand& command, Console& console);
Result<int> execute(const SnapshotRemoveCommand& command, Console& console);
Result<int> execute(const SnapshotExportCommand& command, Console& console);
Result<int> execute(const SnapshotImportCommand& command, Console& console);
Result<int> execute(const ForkCommand& command, Console& console);
Result<int> execute(const RollbackCommand& command, Console& console);
Result<int> execute(const VolumeCreateCommand& command, Console& console);
Result<int> execute(const VolumeListCommand& command, Console& console);
Result<int> execute(const VolumeInspectCommand& command, Console& console);
Result<int> execute(const VolumeUpdateCommand& command, Console& console);
Result<int> execute(const VolumeRemoveCommand& command, Console& console);
Result<int> execute(const KeyCreateCommand& command, Console& console);
Result<int> execute(const KeyListCommand& command, Console& console);
Result<int> execute(const KeyRemoveCommand& command, Console& console);
Result<int> execute(const SessionListCommand& command, Console& console);
Result<int> execute(const SessionRemoveCommand& command, Console& console);
Result<int> execute(const UpdateCommand& command, Console& console);
Result<int> execute(const StatsCommand& command, Console& console);
Result<int> execute(const EventsCommand& command, Console& console);
Result<int> execute(const WatchCommand& command, Console& console);
Result<int> execute(const PortCommand& command, Console& console);
Result<int> execute(const InspectCommand& command, Console& console);
Result<int> execute(const ListCommand& command, Console& console);
Result<int> execute(const RemoveCommand& command, Console& console);
Result<int> execute(const ImageListCommand& command, Console& console);
Result<int> execute(const ToolCommand& command, Console& console);
Result<int> execute(const ModelListCommand& command, Console& console);
Result<int> execute(const ModelPullCommand& command, Console& console);
Result<int> execute(const ModelShowCommand& command, Console& console);
Result<int> execute(const EnvCommand& command, Console& console);
Result<int> execute(const ModelProcessesCommand& command, Console& console);
Result<int> execute(const ModelLoadCommand& command, Console& console);
Result<int> execute(const ModelUnloadCommand& command, Console& console);
Result<int> execute(const ModelRemoveCommand& command, Console& console);
Result<int> execute(const ChatCommand& command, Console& console);
Result<int> execute(const DoctorCommand& command, Console& console);
Result<int> execute(const VerifyCommand& command, Console& console);
Result<int> execute(const BenchCommand& command, Console& console);
Result<int> execute(const ConfigCommand& command, Console& console);

}  // namespace lmsb::cli
