// Definitions read from a commit, and how a work tree differs from them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "adapters/git/repository.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "spec/difference.hpp"

namespace heddle::spec {
namespace {

/// examples/flights in a repository of its own, its data absent, in a folder below the repository's
/// top.
class CommitTest : public testing::Test {
 protected:
  void SetUp() override {
    top_ = testing::TempDir() + uuid7();
    root_ = top_ + "/team/flights";
    std::filesystem::create_directories(root_);
    std::filesystem::copy("examples/flights", root_, std::filesystem::copy_options::recursive);
    put("policies/freeze.yaml",
        "apiVersion: heddle/v1\nkind: Policy\nname: freeze\nrules:\n"
        "  - {id: frozen, effect: deny, who: \"*\", action: release.promote}\n");
    git("init -q");
    commit();
    repository_ = adapters::open_git(root_).value();
  }
  void TearDown() override { std::filesystem::remove_all(top_); }

  void git(const std::string& words) {
    const std::string command = fmt::format(
        "git -C '{}' -c user.name=t -c user.email=t@localhost -c commit.gpgsign=false {} "
        ">/dev/null 2>&1",
        top_, words);
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  void commit() {
    git("add -A");
    git("commit -q --allow-empty -m change");
  }
  void put(const std::string& file, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + "/" + file).parent_path());
    ASSERT_TRUE(write_file_atomic(root_ + "/" + file, text).ok());
  }
  void move(const std::string& from, const std::string& to) {
    std::filesystem::rename(root_ + "/" + from, root_ + "/" + to);
  }
  Loaded of_head() { return load_commit(*repository_, root_, *repository_->head()).value(); }
  std::vector<std::string> changes() {
    const auto work = load_project(root_);
    EXPECT_TRUE(work.ok());
    const auto found = differences(*work, *repository_, *repository_->head());
    EXPECT_TRUE(found.ok()) << found.error().str();
    std::vector<std::string> texts;
    for (const auto& each : *found) texts.push_back(each.text());
    return texts;
  }

  using Texts = std::vector<std::string>;
  std::string top_, root_;
  std::unique_ptr<store::Git> repository_;
};

TEST_F(CommitTest, ACommitLoadsWithoutItsData) {
  const auto loaded = of_head();
  for (const auto& each : loaded.diagnostics) ADD_FAILURE() << doc::render_concise(each);
  EXPECT_EQ(loaded.project.name, "flights");
  EXPECT_EQ(loaded.project.commit, *repository_->head());
  EXPECT_FALSE(loaded.project.dirty);
  EXPECT_TRUE(loaded.project.policies.contains("freeze"));
  for (const char* file :
       {"heddle.yaml", "people.yaml", "policies/freeze.yaml", "contracts/flights.odcs.yaml"}) {
    EXPECT_TRUE(loaded.files.contains(file)) << file;
  }
  EXPECT_EQ(changes(), Texts{});
}

TEST_F(CommitTest, ADeletionCountsHoweverItIsHidden) {
  const Texts gone{"`policies/freeze.yaml` is in the commit and not in the work tree"};
  std::filesystem::remove(root_ + "/policies/freeze.yaml");
  EXPECT_EQ(changes(), gone) << "not staged";
  git("add -A");
  EXPECT_EQ(changes(), gone) << "staged only";
  git("reset -q --hard");
  EXPECT_EQ(changes(), Texts{});
  git("update-index --skip-worktree team/flights/policies/freeze.yaml");
  std::filesystem::remove(root_ + "/policies/freeze.yaml");
  EXPECT_EQ(changes(), gone) << "as a sparse checkout leaves it out";
  EXPECT_TRUE(of_head().project.policies.contains("freeze")) << "the commit holds it all the same";
}

TEST_F(CommitTest, WhatIsAddedChangedOrRenamedIsNamed) {
  put("policies/open.yaml", "apiVersion: heddle/v1\nkind: Policy\nname: open\nrules: []\n");
  EXPECT_EQ(changes(), Texts{"`policies/open.yaml` is in the work tree and not in the commit"});
  put(".gitignore", "open.yaml\n");
  EXPECT_EQ(changes().size(), 1U) << "an ignored file is read, so it counts";
  std::filesystem::remove(root_ + "/policies/open.yaml");
  move("policies/freeze.yaml", "policies/frost.yaml");
  EXPECT_EQ(changes(), (Texts{"`policies/freeze.yaml` is in the commit and not in the work tree",
                              "`policies/frost.yaml` is in the work tree and not in the commit"}));
  move("policies/frost.yaml", "policies/freeze.yaml");
  for (const char* file : {"people.yaml", "heddle.yaml"}) {
    const auto before = *read_file(root_ + "/" + file);
    put(file, before + "# a comment\n");
    EXPECT_EQ(changes(), Texts{fmt::format("`{}` was changed", file)});
    git("update-index --assume-unchanged team/flights/" + std::string(file));
    EXPECT_EQ(changes().size(), 1U) << "the index is not asked";
    put(file, before);
  }
  // A mode says nothing about a definition, and a link to the same text is the same definition.
  std::filesystem::permissions(root_ + "/people.yaml", std::filesystem::perms::owner_all);
  move("people.yaml", "persons.txt");
  std::filesystem::create_symlink("persons.txt", root_ + "/people.yaml");
  EXPECT_EQ(changes(), Texts{});
  put("persons.txt", "people: [\n");
  EXPECT_EQ(changes(), Texts{"`people.yaml` was changed"}) << "also where it does not parse";
}

TEST_F(CommitTest, LinksAreFollowedInTheCommitAndNotOutOfIt) {
  std::filesystem::create_directories(top_ + "/common");
  std::filesystem::rename(root_ + "/policies", top_ + "/common/policies");
  std::filesystem::create_symlink("../../common/policies", root_ + "/policies");
  commit();
  EXPECT_TRUE(of_head().project.policies.contains("freeze"));
  EXPECT_EQ(changes(), Texts{});
  put("policies/freeze.yaml", "kind: Policy\n");
  EXPECT_EQ(changes(), Texts{"`policies/freeze.yaml` was changed"});
  git("reset -q --hard");

  const std::string outside = testing::TempDir() + uuid7();
  std::filesystem::rename(top_ + "/common/policies", outside);
  std::filesystem::remove(root_ + "/policies");
  std::filesystem::create_symlink(outside, root_ + "/policies");
  commit();
  const auto loaded = of_head();
  ASSERT_TRUE(loaded.has_errors())
      << "a project whose rules are elsewhere must not load without them";
  EXPECT_EQ(loaded.diagnostics.front().id, "git-link-outside");
  std::filesystem::remove_all(outside);
}

TEST_F(CommitTest, AnEnumFileOfTheProjectDecidesToo) {
  put("contracts/enum.odcs.yaml",
      "apiVersion: v3.2.0\nkind: DataContract\nid: e\nname: e\nversion: 1.0.0\nstatus: "
      "active\nschema:\n"
      "  - name: e\n    logicalType: object\n    properties:\n"
      "      - name: place\n        logicalType: string\n        customProperties:\n"
      "          - {property: enumFile, vendor: heddle, value: {file: enums/places.csv, column: "
      "code}}\n");
  put("enums/places.csv", "code\nAAA\n");
  commit();
  const auto before = of_head();
  EXPECT_FALSE(before.has_errors());
  ASSERT_TRUE(before.files.contains("enums/places.csv"));
  put("enums/places.csv", "code\nAAA\nBBB\n");
  EXPECT_EQ(changes(), Texts{"`enums/places.csv` was changed"});
  commit();
  EXPECT_NE(of_head().digest(), before.digest());
  git("rm -q --cached team/flights/enums/places.csv");
  git("commit -q -m without");
  const auto without = of_head();
  ASSERT_TRUE(without.has_errors());
  EXPECT_EQ(without.diagnostics.front().id, "file-missing");
  EXPECT_EQ(changes(), Texts{"`enums/places.csv` is in the work tree and not in the commit"});
}

TEST_F(CommitTest, TheDigestCoversEveryFile) {
  const auto before = of_head().digest();
  EXPECT_EQ(of_head().digest(), before);
  for (const char* file :
       {"people.yaml", "heddle.yaml", "policies/freeze.yaml", "services/delay.yaml"}) {
    const auto text = *read_file(root_ + "/" + file);
    put(file, text + "# more\n");
    commit();
    EXPECT_NE(of_head().digest(), before) << file;
    put(file, text);
    commit();
    EXPECT_EQ(of_head().digest(), before) << file;
  }
}

TEST_F(CommitTest, AProjectThatIsNotCommitted) {
  const std::string other = top_ + "/other";
  std::filesystem::create_directories(other);
  std::filesystem::copy(root_, other, std::filesystem::copy_options::recursive);
  const auto git_of_other = adapters::open_git(other).value();
  const auto loaded = load_commit(*git_of_other, other, *git_of_other->head());
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().id, "project-not-committed");
}

}  // namespace
}  // namespace heddle::spec
