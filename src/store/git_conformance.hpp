#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/folder_fixture.hpp"
#include "store/store.hpp"

namespace heddle::store {

/// Makes a repository in `directory` with one commit of these files, or with none where there are
/// none, and opens it.
using MakeRepository = std::function<std::unique_ptr<Git>(const std::string& directory,
                                                          const std::vector<Git::File>& files)>;

/// What every adapter of store::Git must do. For tests only:
///
///   INSTANTIATE_TEST_SUITE_P(Libgit2, GitConformance, testing::Values(make_repository));
class GitConformance : public testing::TestWithParam<MakeRepository> {
 protected:
  void SetUp() override {
    repository_ = GetParam()(folder_.path(), {{"a.txt", "one\n"}, {"sub/b.txt", "two\n"}});
    ASSERT_NE(repository_, nullptr);
  }
  /// The names in a folder, links and all.
  [[nodiscard]] std::vector<std::string> names(std::string_view revision,
                                               std::string_view folder) const {
    const auto entries = repository_->list(revision, folder);
    EXPECT_TRUE(entries.ok()) << (entries.ok() ? "" : entries.error().str());
    std::vector<std::string> out;
    for (const auto& entry : *entries) out.push_back(entry.name);
    return out;
  }

  heddle::fixture::Folder folder_;
  std::unique_ptr<Git> repository_;
};

using Names = std::vector<std::string>;

TEST_P(GitConformance, ReadsFilesAsOfARevision) {
  EXPECT_EQ(repository_->read("HEAD", "a.txt").value(), "one\n");
  EXPECT_EQ(repository_->read("HEAD", "sub/b.txt").value(), "two\n");
  EXPECT_EQ(repository_->read(repository_->head().value(), "sub/b.txt").value(), "two\n");
  for (const char* path : {"absent", "sub", "sub/absent", "a.txt/b", "../outside"}) {
    const auto read = repository_->read("HEAD", path);
    ASSERT_FALSE(read.ok()) << path;
    EXPECT_EQ(read.error().kind, ErrorKind::kNotFound) << path;
    EXPECT_EQ(read.error().id, "git-file-not-found") << path;
  }
  for (const char* revision : {"no-such", "HEAD~5", ""}) {
    EXPECT_EQ(repository_->read(revision, "a.txt").error().id, "git-revision-not-found")
        << revision;
  }
}

TEST_P(GitConformance, NamesCommitsAndBlobsAsGitDoes) {
  const auto head = repository_->head();
  ASSERT_TRUE(head.ok()) << head.error().str();
  EXPECT_EQ(head->size(), 40U);
  EXPECT_EQ(repository_->resolve("HEAD").value(), *head);
  EXPECT_EQ(repository_->resolve(*head).value(), *head);
  const auto unknown = repository_->resolve("no-such");
  EXPECT_EQ(unknown.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(unknown.error().id, "git-revision-not-found");
  // `git hash-object`, git 2.39.
  EXPECT_EQ(repository_->blob_id("one\n"), "5626abf0f72e58d7a153368ba57db4c673c0e171");
  EXPECT_EQ(repository_->blob_id(""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

TEST_P(GitConformance, FindsAndListsWhatATreeHolds) {
  using Kind = Git::Entry::Kind;
  EXPECT_EQ(names("HEAD", ""), (Names{"a.txt", "sub"}));
  EXPECT_EQ(names("HEAD", "sub"), (Names{"b.txt"}));
  EXPECT_TRUE(names("HEAD", "no-such").empty());
  const auto file = repository_->find("HEAD", "sub/b.txt");
  ASSERT_TRUE(file.ok()) << file.error().str();
  EXPECT_EQ(file->name, "b.txt");
  EXPECT_EQ(file->kind, Kind::kFile);
  EXPECT_EQ(file->id, repository_->blob_id("two\n"));
  EXPECT_FALSE(file->executable);
  EXPECT_EQ(repository_->find("HEAD", "sub")->kind, Kind::kFolder);
  EXPECT_EQ(repository_->find("HEAD", "absent").error().id, "git-file-not-found");
}

TEST_P(GitConformance, ACommitIsItsFilesOverTheTreeOfItsRefAndTouchesNoOther) {
  const auto head = repository_->head().value();
  const std::string ref = "refs/heads/heddle/incident-0001";
  const auto first = repository_->commit(ref, "HEAD", {{"sub/c.txt", "three\n"}, {"a.txt", "1\n"}},
                                         "what happened");
  ASSERT_TRUE(first.ok()) << first.error().str();
  EXPECT_EQ(repository_->head().value(), head);
  EXPECT_EQ(repository_->read("HEAD", "a.txt").value(), "one\n");
  EXPECT_EQ(repository_->resolve(ref).value(), *first);
  EXPECT_EQ(repository_->resolve(ref + "^").value(), head);
  EXPECT_EQ(repository_->read(ref, "a.txt").value(), "1\n");
  EXPECT_EQ(repository_->read(ref, "sub/b.txt").value(), "two\n");
  EXPECT_EQ(names(ref, "sub"), (Names{"b.txt", "c.txt"}));
  // The base is where a new ref begins: it says nothing of one that is there.
  const auto second = repository_->commit(ref, "HEAD", {{"d/e/f.txt", "deep"}}, "and then");
  ASSERT_TRUE(second.ok()) << second.error().str();
  EXPECT_EQ(repository_->resolve(ref + "^").value(), *first);
  EXPECT_EQ(repository_->read(ref, "a.txt").value(), "1\n");
  EXPECT_EQ(repository_->read(ref, "d/e/f.txt").value(), "deep");
  EXPECT_EQ(repository_->read(*first, "d/e/f.txt").error().id, "git-file-not-found");
}

TEST_P(GitConformance, WithoutABaseARefBeginsEmpty) {
  const std::string ref = "refs/heddle/checkpoints";
  const auto id = repository_->commit(ref, "", {{"checkpoint", "1"}}, "one");
  ASSERT_TRUE(id.ok()) << id.error().str();
  EXPECT_EQ(names(ref, ""), (Names{"checkpoint"}));
  EXPECT_EQ(repository_->resolve(ref + "^").error().id, "git-revision-not-found");
  EXPECT_EQ(repository_->commit("refs/heddle/x", "no-such", {{"a", "b"}}, "m").error().id,
            "git-revision-not-found");
}

TEST_P(GitConformance, TheSameTreeAgainIsNoNewCommit) {
  const std::string ref = "refs/heddle/checkpoints";
  const auto commit = [&](const char* bytes) {
    return repository_->commit(ref, "", {{"checkpoint", bytes}}, "m").value();
  };
  const auto first = commit("1");
  EXPECT_EQ(commit("1"), first);
  const auto second = commit("2");
  EXPECT_NE(second, first);
  EXPECT_EQ(repository_->resolve(ref + "^").value(), first);
  EXPECT_EQ(repository_->read(ref, "checkpoint").value(), "2");
}

TEST_P(GitConformance, OtherRefsAndPathsOutsideAreRefused) {
  for (const char* ref : {"refs/heads/main", "HEAD", "refs/heads/heddle/../main", "refs/tags/v1",
                          "refs/heads/heddle/", ""}) {
    EXPECT_EQ(repository_->commit(ref, "", {{"x", "y"}}, "m").error().id, "git-ref-refused") << ref;
    EXPECT_EQ(repository_->keep(ref, repository_->head().value()).error().id, "git-ref-refused")
        << ref;
  }
  for (const char* path : {"../x", "/x", "a//b", ".git/config", "", "a/.", "sub/.git/x"}) {
    EXPECT_EQ(repository_->commit("refs/heads/heddle/x", "", {{path, "y"}}, "m").error().id,
              "git-path-refused")
        << path;
  }
  EXPECT_EQ(repository_->resolve("refs/heads/heddle/x").error().id, "git-revision-not-found");
}

TEST_P(GitConformance, AKeptCommitHasItsRef) {
  const auto head = repository_->head().value();
  const std::string ref = "refs/heddle/applied/" + head;
  ASSERT_TRUE(repository_->keep(ref, head).ok());
  ASSERT_TRUE(repository_->keep(ref, head).ok()) << "twice is once";
  EXPECT_EQ(repository_->resolve(ref).value(), head);
}

TEST_P(GitConformance, CommitsOfManyThreadsAllLand) {
  const std::string ref = "refs/heads/heddle/state";
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i)
        EXPECT_TRUE(repository_->commit(ref, "", {{fmt::format("{}-{}", t, i), "x"}}, "m").ok());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(names(ref, "").size(), 20U);
  EXPECT_TRUE(repository_->resolve(ref + "~19").ok());
  EXPECT_FALSE(repository_->resolve(ref + "~20").ok());
}

TEST_P(GitConformance, ARepositoryWithoutACommitSaysSo) {
  const heddle::fixture::Folder folder;
  const auto empty = GetParam()(folder.path(), {});
  ASSERT_NE(empty, nullptr);
  EXPECT_EQ(empty->head().error().kind, ErrorKind::kNotFound);
  EXPECT_TRUE(empty->commit("refs/heddle/checkpoints", "", {{"checkpoint", "1"}}, "one").ok());
}

}  // namespace heddle::store
