#include "control/snapshot_manifest.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

SnapshotManifest example() {
  SnapshotManifest manifest;
  manifest.id = "snp_aaaaaaaaaaaaaaaaaaaa";
  manifest.name = "first";
  manifest.sandbox = "s0000000000000000000";
  manifest.created_at = "2026-01-01T00:00:00Z";
  manifest.image = "base";
  manifest.image_digest = "sha256:00";
  manifest.workdir = "/workspace";
  manifest.env = {{"A", "1"}, {"WORDS", "a \"b\"\n\xc3\xa4"}};
  manifest.limits = {Bytes::MiB(256), 1500, 99, Bytes::GiB(2)};
  return manifest;
}

Result<SnapshotManifest> parse(std::string_view file) {
  LMSB_TRY(const std::size_t size, manifest_size(file.substr(0, kManifestHead)));
  EXPECT_EQ(size, file.size() - kManifestHead);
  return parse_manifest(file.substr(kManifestHead));
}

TEST(SnapshotManifest, ComesBackAsItWas) {
  const SnapshotManifest wanted = example();
  const auto found = parse(format_manifest(wanted));
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->id, wanted.id);
  EXPECT_EQ(found->name, wanted.name);
  EXPECT_EQ(found->sandbox, wanted.sandbox);
  EXPECT_EQ(found->created_at, wanted.created_at);
  EXPECT_EQ(found->image, wanted.image);
  EXPECT_EQ(found->image_digest, wanted.image_digest);
  EXPECT_EQ(found->workdir, wanted.workdir);
  EXPECT_EQ(found->env, wanted.env);
  EXPECT_EQ(found->limits, wanted.limits);
}

TEST(SnapshotManifest, NamesSharedMemoryOnlyWhereItIsAnUnusualOne) {
  EXPECT_EQ(format_manifest(example()).find("shm_bytes"), std::string::npos) << "earlier versions would not read it";
  SnapshotManifest wanted = example();
  wanted.limits.shm = Bytes::MiB(128);
  EXPECT_EQ(parse(format_manifest(wanted))->limits, wanted.limits);
}

TEST(SnapshotManifest, IsASkippableFrameOfZstandard) {
  const std::string file = format_manifest(example());
  EXPECT_EQ(file.substr(0, 4), "\x5e\x2a\x4d\x18");
  EXPECT_EQ(file.substr(8, 22), "lm-sandbox-snapshot 1 ");
}

TEST(SnapshotManifest, OfWhatIsNoSuchFileSaysSo) {
  for (const std::string& file :
       {std::string("PK\3\4 some zip"), std::string(600, '\0'), std::string("\x28\xb5\x2f\xfd....")})
    EXPECT_EQ(manifest_size(file).error().slug(), "not_a_snapshot");
  EXPECT_EQ(manifest_size("\x5e\x2a").error().slug(), "not_a_snapshot") << "it is too short";
  EXPECT_EQ(manifest_size("\x5e\x2a\x4d\x18\xff\xff\xff\xff").error().slug(), "not_a_snapshot") << "it is too large";
  EXPECT_EQ(parse_manifest("something else").error().slug(), "not_a_snapshot");
}

TEST(SnapshotManifest, OfAnotherVersionSaysSo) {
  std::string file = format_manifest(example());
  file.replace(file.find("snapshot 1"), 10, "snapshot 2");
  EXPECT_EQ(parse(file).error().slug(), "snapshot_version_unknown");
}

TEST(SnapshotManifest, KnowsThatAnOctetIsWrong) {
  const std::string good = format_manifest(example());
  for (std::size_t at = kManifestHead + 22; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_EQ(parse(bad).error().slug(), "snapshot_damaged") << at;
  }
}

TEST(SnapshotManifest, RefusesWhatNoSnapshotIs) {
  const auto slug_of = [](auto change) {
    SnapshotManifest manifest = example();
    change(manifest);
    const auto parsed = parse(format_manifest(manifest));
    return parsed.ok() ? std::string() : std::string(parsed.error().slug());
  };
  EXPECT_EQ(slug_of([](SnapshotManifest& m) { m.limits.disk = Bytes(1); }), "snapshot_damaged");
  EXPECT_EQ(slug_of([](SnapshotManifest& m) { m.limits.memory = Bytes::GiB(1ULL << 30U); }), "snapshot_damaged");
  EXPECT_EQ(slug_of([](SnapshotManifest& m) { m.env[""] = "x"; }), "snapshot_damaged");
  EXPECT_EQ(slug_of([](SnapshotManifest& m) { m.env["A=B"] = "x"; }), "snapshot_damaged");
  EXPECT_EQ(slug_of([](SnapshotManifest& m) { m.workdir = "relative"; }), "snapshot_damaged");
  EXPECT_EQ(slug_of([](SnapshotManifest& m) { m.image.clear(); }), "snapshot_damaged");
  EXPECT_EQ(slug_of([](SnapshotManifest& m) { m.env["A"] = std::string(384U << 10U, 'x'); }), "snapshot_damaged");
  EXPECT_EQ(slug_of([](SnapshotManifest& m) {
              for (int i = 0; i < 2049; ++i) m.env["A" + std::to_string(i)] = "x";
            }),
            "snapshot_damaged");
  EXPECT_EQ(slug_of([](SnapshotManifest& m) { m.image = std::string(5000, 'x'); }), "snapshot_damaged");
}

}  // namespace
}  // namespace lmsb::control
