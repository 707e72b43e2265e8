// Snapshots as files: export and import (docs/adr/0036). Nothing of an archive is parsed here but the manifest before
// it: what came out of a sandbox, or from anywhere, is taken apart by an archiver, which has no more than one disk.
#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/names.h"
#include "control/policy.h"
#include "control/snapshots.h"
#include "control/transfer_pace.h"
#include "control/zstd_stream.h"
#include "guest_client/guest_error.h"
#include "sandbox/disk_id.h"

namespace lmsb::control {
namespace {

using guest_protocol::ArchiveReport;
using guest_protocol::ArchiveWay;

constexpr std::size_t kMaxTransfersOfCaller = 2;
constexpr std::chrono::seconds kGoodbye{10};    // for an archiver to be gone, which is killed
constexpr Bytes kSmallestDisk = Bytes::MiB(1);  // what reading one is asked with: it makes nothing

std::string place_of(const ArchiveReport& report) {
  // Beneath "disk/upper", which is the sandbox's "/".
  std::string_view path(report.path.data(), report.path_size);
  for (const std::string_view top : {"disk/upper", "disk/root"})
    if (path.starts_with(top)) path.remove_prefix(top.size());
  return path.empty() ? "/" : quoted(path);
}

Error not_exportable(const ArchiveReport& report) {
  const char* why = report.error == E2BIG          ? "it has too many links or attributes"
                    : report.error == EFBIG        ? "the directory has too many names"
                    : report.error == ENOMEM       ? "there are too many names for the memory that an export has"
                    : report.error == ENAMETOOLONG ? "its path is longer than 4080 octets"
                    : report.error == ENOTSUP      ? "it is a device"
                                                   : nullptr;
  if (why == nullptr) return guest_client::guest_error(report.error, "export " + place_of(report));
  return Error(ErrorCode::failed_precondition, "export " + place_of(report))
      .with_cause(why)
      .with_slug("snapshot_not_exportable")
      .with_hint("remove it in a sandbox made from the snapshot, and take another one");
}

Error not_importable(const ArchiveReport& report) {
  switch (report.error) {
    case EBADMSG:
    case EPROTONOSUPPORT:
    case ENAMETOOLONG: return snapshot_damaged("its archive, at " + place_of(report));
    case EPIPE: return snapshot_damaged("it is cut off");
    case EDQUOT:
    case EFBIG:
      return Error(ErrorCode::invalid_argument, "the snapshot holds more than its disk may, at " + place_of(report))
          .with_slug("snapshot_too_large")
          .with_hint("import it with a larger disk_bytes (--disk)");
    case ENOSPC:
      return Error(ErrorCode::resource_exhausted, "there is no room for the snapshot")
          .with_slug("store_full")
          .with_hint("delete sandboxes, or make room on the file system of the data directory");
    default: return guest_client::guest_error(report.error, "import " + place_of(report));
  }
}

// The beginning of a file, and what of its rest has been read with it.
struct Beginning {
  SnapshotManifest manifest;
  std::string rest;
};

io::Task<Beginning> read_beginning(http::BodyReader& body, TransferPace& pace) {
  std::string octets;
  std::size_t whole = 0;  // once it is known
  while (whole == 0 || octets.size() < whole) {
    LMSB_CO_TRY(const std::string piece, co_await body.read());
    if (piece.empty() && whole > 0) co_return snapshot_damaged("it is cut off");
    LMSB_CO_CHECK(pace.moved(piece.size(), TransferPace::Clock::now()));
    octets += piece;
    if (whole > 0 || (octets.size() < kManifestHead && !piece.empty())) continue;
    LMSB_CO_TRY(const std::size_t size, manifest_size(octets));
    whole = kManifestHead + size;
  }
  Beginning beginning;
  LMSB_CO_TRY(beginning.manifest,
              parse_manifest(std::string_view(octets).substr(kManifestHead, whole - kManifestHead)));
  beginning.rest = octets.substr(whole);
  co_return std::move(beginning);
}

// All that follows. Ends early when the archiver takes no more: its report says why.
io::Task<ArchiveReport> feed(Archiver& archiver, std::string first, http::BodyReader& body, TransferPace& pace) {
  std::string piece = std::move(first);
  if (piece.empty()) {
    LMSB_CO_TRY(piece, co_await body.read());
    LMSB_CO_CHECK(pace.moved(piece.size(), TransferPace::Clock::now()));
  }
  while (!piece.empty()) {
    LMSB_CO_TRY(const bool is_taken, co_await archiver.write(std::move(piece)));
    if (!is_taken) break;
    LMSB_CO_TRY(piece, co_await body.read());
    LMSB_CO_CHECK(pace.moved(piece.size(), TransferPace::Clock::now()));
  }
  archiver.finish_input();
  co_return co_await archiver.report();
}

// The archive of a disk, which is whole when its process says so.
class DiskStream final : public FileStream {
 public:
  explicit DiskStream(std::unique_ptr<Archiver> archiver) : archiver_(std::move(archiver)) {}
  io::Task<std::string> read() override {
    if (!first_.empty()) co_return std::exchange(first_, {});
    LMSB_CO_TRY(std::string piece, co_await archiver_->read());
    LMSB_CO_CHECK(pace_.moved(piece.size(), TransferPace::Clock::now()));
    if (!piece.empty()) co_return std::move(piece);
    LMSB_CO_TRY(const ArchiveReport report, co_await archiver_->report());
    if (report.error != 0) co_return not_exportable(report);
    co_return std::string();
  }
  // So that what cannot begin is known before there is an answer.
  io::Task<void> read_ahead() {
    LMSB_CO_TRY(first_, co_await read());
    co_return Status();
  }

 private:
  std::unique_ptr<Archiver> archiver_;
  TransferPace pace_;
  std::string first_;
};

}  // namespace

// The manifest, then the compressed archive. Holds what keeps the snapshot from being deleted, up to its end: who has
// it all may delete the snapshot at once.
class Snapshots::Export final : public FileStream {
 public:
  Export(std::string manifest, std::unique_ptr<FileStream> archive, std::shared_ptr<Transfer> transfer,
         std::shared_ptr<const bool> part, Ended ended)
      : manifest_(std::move(manifest)),
        ended_(std::move(ended)),
        transfer_(std::move(transfer)),
        part_(std::move(part)),
        archive_(std::move(archive)) {}
  io::Task<std::string> read() override {
    if (!manifest_.empty()) co_return std::exchange(manifest_, {});
    if (!archive_) co_return std::string();
    LMSB_CO_TRY(std::string piece, co_await archive_->read());
    if (!piece.empty()) co_return std::move(piece);
    archive_.reset();
    (void)co_await ended_();  // nothing is missing where that fails
    part_.reset();
    transfer_.reset();
    co_return std::string();
  }

 private:
  std::string manifest_;
  Ended ended_;
  std::shared_ptr<Transfer> transfer_;
  std::shared_ptr<const bool> part_;
  std::unique_ptr<FileStream> archive_;
};

Result<std::shared_ptr<Snapshots::Transfer>> Snapshots::begin_transfer(const std::string& by) {
  std::size_t all = 0;
  for (const auto& [who, count] : *transfers_) all += count;
  const auto own = transfers_->find(by);
  if (all < sandbox::kMaxArchivers && (own == transfers_->end() || own->second < kMaxTransfersOfCaller))
    return std::make_shared<Transfer>(transfers_, by);
  return Error(ErrorCode::resource_exhausted, "too many snapshots are being exported and imported")
      .with_slug("sandbox_busy")
      .with_hint("try again when one of them has ended: 2 of one caller, 4 in all");
}

io::Task<void> Snapshots::gone(std::uint64_t archiver) {
  return parts_.fleet.wait_destroyed(archiver, io::Deadline::in(kGoodbye));
}

io::Task<std::unique_ptr<FileStream>> Snapshots::export_file(Principal who, std::string named) {
  LMSB_CO_TRY(const Kept* kept, find(who, named));
  const std::string id = kept->info.id;
  const Origin& origin = kept->origin;
  if (origin.image.empty())
    co_return Error(ErrorCode::failed_precondition, "nothing but its copy is known of snapshot " + id)
        .with_slug("disk_lost")
        .with_hint("delete the snapshot");
  SnapshotManifest manifest{id,           kept->info.name,        kept->info.sandbox_id,   kept->info.created_at,
                            origin.image, origin.defaults.digest, origin.defaults.workdir, origin.defaults.env,
                            origin.limits};
  if (!can_be_read(manifest))
    co_return Error(ErrorCode::failed_precondition, "the variables of the snapshot are too large to be exported")
        .with_slug("snapshot_not_exportable");
  std::string head = format_manifest(manifest);
  std::shared_ptr<const bool> part = kept->exports;
  LMSB_CO_TRY(auto transfer, begin_transfer(who.name));
  LMSB_CO_TRY(auto room, co_await parts_.admission.take_archiver_room(who.name));
  LMSB_CO_TRY(auto archiver, co_await parts_.fleet.archive(id, ArchiveWay::out, kSmallestDisk, std::move(room)));
  const std::uint64_t serial = archiver->serial();
  auto disk = std::make_unique<DiskStream>(std::move(archiver));
  Status begun = co_await disk->read_ahead();
  if (!begun.ok()) {
    disk.reset();
    (void)co_await gone(serial);  // whoever is told why may delete the snapshot at once
    co_return std::move(begun).error();
  }
  std::unique_ptr<FileStream> packed = std::make_unique<ZstdStream>(std::move(disk), parts_.pool);
  log_.log(LogLevel::info, "snapshot.exported", {{"id", id}, {"by", who.name}});
  if (const auto it = kept_.find(id); it != kept_.end()) tell("snapshot.exported", it->second, who.name);
  std::unique_ptr<FileStream> file = std::make_unique<Export>(std::move(head), std::move(packed), std::move(transfer),
                                                              std::move(part), [this, serial] { return gone(serial); });
  co_return std::move(file);
}

// What a file says of itself, unless that is no sandbox, or another owner's: "".
std::string Snapshots::sandbox_of(const SnapshotManifest& manifest, const std::string& owner) const {
  if (!SandboxId::parse(manifest.sandbox)) return "";
  const auto found = parts_.registry.get(manifest.sandbox);
  return !found.ok() || (*found)->owner == owner ? manifest.sandbox : "";
}

Result<Snapshots::Kept> Snapshots::imported(const Principal& who, const ImportSnapshot& request,
                                            const SnapshotManifest& manifest) const {
  Kept kept;
  kept.owner = who.name;
  const std::string& name = request.name.empty() ? manifest.name : request.name;
  LMSB_CHECK(check_snapshot_name(name));
  kept.info = {create_prefixed_id(sandbox::kSnapshotPrefix),
               name,
               sandbox_of(manifest, who.name),
               manifest.image,
               manifest.image_digest,
               rfc3339_now(),
               std::nullopt};
  kept.origin = {kept.info.id,
                 manifest.image,
                 {manifest.image_digest, manifest.env, manifest.workdir},
                 parts_.within(manifest.limits)};
  LMSB_CHECK(parts_.check_image(kept.origin));
  if (!request.disk_bytes) return kept;
  kept.origin.limits.disk = *request.disk_bytes;
  LMSB_CHECK(sandbox::check_bounds(kept.origin.limits));
  const Limits allowed = parts_.within(kept.origin.limits);
  if (allowed.disk < *request.disk_bytes) return above_policy("disk_bytes", format_bytes(allowed.disk));
  return kept;
}

io::Task<SnapshotInfo> Snapshots::import_file(Principal who, ImportSnapshot request,
                                              std::shared_ptr<http::BodyReader> body) {
  LMSB_CO_CHECK(check_snapshot_name(request.name));
  LMSB_CO_CHECK(check_count(who.name));
  LMSB_CO_TRY(const auto transfer, begin_transfer(who.name));
  LMSB_CO_TRY(OnTheirWay::Held place, on_their_way_.place(who.name));
  TransferPace pace;
  LMSB_CO_TRY(Beginning beginning, co_await read_beginning(*body, pace));
  LMSB_CO_TRY(Kept kept, imported(who, request, beginning.manifest));
  LMSB_CO_TRY(auto held_name, hold_name(who.name, kept.info.name));
  LMSB_CO_TRY(auto quota, parts_.quotas.take(who.name, disk_of(kept.origin.limits)));
  const std::string id = kept.info.id;
  LMSB_CO_TRY(auto room, co_await parts_.admission.take_archiver_room(who.name));
  LMSB_CO_TRY(auto archiver,
              co_await parts_.fleet.archive(id, ArchiveWay::in, kept.origin.limits.disk, std::move(room)));
  auto report = co_await feed(*archiver, std::move(beginning.rest), *body, pace);
  if (!report.ok() || report->error != 0) {
    const std::uint64_t serial = archiver->serial();
    archiver.reset();
    (void)co_await gone(serial);  // whoever is told of it may try again at once
    co_return report.ok() ? not_importable(*report) : std::move(report).error();
  }
  LMSB_CO_CHECK(co_await read_rest(*body, pace));  // what stands behind the archive
  auto entered = enter_imported(std::move(who), std::move(kept), std::move(held_name), std::move(archiver),
                                std::move(quota), std::move(request.promise));
  co_return co_await on_their_way_.carry_out(std::move(place), std::move(entered));
}

// It is claimed while its archiver still has it, so that no sweep takes it for what nobody wants; cut short, the next
// start removes it, or has it if its row is written.
io::Task<SnapshotInfo> Snapshots::enter_imported(Principal who, Kept kept, HeldNames::Held held_name,
                                                 std::unique_ptr<Archiver> archiver, Quotas::Held quota,
                                                 SnapshotPromise promise) {
  const std::string owner = who.name;
  LMSB_CO_CHECK(check_count(owner));  // others may have come meanwhile; what was made goes with the archiver
  std::optional<OnTheirWay::Place> place(std::in_place, being_taken_, owner);
  const SnapshotInfo info = kept.info;
  const std::uint64_t serial = archiver->serial();
  archiver->keep();
  auto writing = write_down(std::move(kept), promise.keep(info, info.id));
  Status written = co_await std::move(writing);
  held_name.reset();
  place.reset();
  quota.reset();
  archiver.reset();
  const Status ended = co_await parts_.fleet.wait_destroyed(serial);
  if (!written.ok()) {
    if (ended.ok()) (void)co_await parts_.fleet.remove_disk(info.id);
    co_return std::move(written).error();
  }
  log_.log(LogLevel::info, "snapshot.imported", {{"id", info.id}, {"by", who.name}});
  if (const auto made = kept_.find(info.id); made != kept_.end()) tell("snapshot.imported", made->second, who.name);
  co_return info;
}

}  // namespace lmsb::control
