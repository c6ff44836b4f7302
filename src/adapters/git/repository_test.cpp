#include "adapters/git/repository.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "adapters/git/ref_lock.hpp"
#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "store/git_conformance.hpp"

namespace heddle::adapters {
namespace {

/// The answer of the real git, without the newline at its end.
std::string git(const std::string& directory, const std::string& arguments) {
  const std::string command = fmt::format(
      "git -C '{}' -c user.name=Tester -c user.email=tester@example.org -c init.defaultBranch=main "
      "{} 2>&1",
      directory, arguments);
  FILE* pipe = ::popen(command.c_str(), "r");
  HEDDLE_CHECK(pipe != nullptr, "popen");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
    text.push_back(static_cast<char>(c));
  const int status = ::pclose(pipe);
  HEDDLE_CHECK(status == 0, text);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::unique_ptr<store::Git> make_repository(const std::string& directory,
                                            const std::vector<store::Git::File>& files) {
  git(directory, "init -q");
  for (const auto& file : files) {
    const std::string path = directory + "/" + file.path;
    HEDDLE_CHECK(make_dirs(path.substr(0, path.rfind('/'))).ok(), path);
    HEDDLE_CHECK(write_file_atomic(path, file.bytes).ok(), path);
  }
  if (!files.empty()) {
    git(directory, "add -A");
    git(directory, "commit -q -m start");
  }
  return open_git(directory).value();
}

class GitTest : public testing::Test {
 protected:
  void SetUp() override {
    repository_ = make_repository(root_, {{"a.txt", "one\n"}, {"sub/b.txt", "two\n"}});
  }
  heddle::fixture::Folder folder_;
  const std::string& root_ = folder_.path();
  std::unique_ptr<store::Git> repository_;
};

TEST_F(GitTest, ReadsWhatGitReads) {
  EXPECT_EQ(repository_->head().value(), git(root_, "rev-parse HEAD"));
  EXPECT_EQ(repository_->blob_id("one\n"), git(root_, "rev-parse HEAD:a.txt"));
  EXPECT_EQ(repository_->find("HEAD", "sub")->id, git(root_, "rev-parse HEAD:sub"));
}

TEST_F(GitTest, ACommitTouchesItsRefAlone) {
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "edited\n").ok());
  git(root_, "add a.txt");
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "edited again\n").ok());
  const auto status = git(root_, "status --porcelain");
  const auto head = git(root_, "rev-parse HEAD");
  const auto id = repository_->commit("refs/heads/heddle/incident-0001", "HEAD",
                                      {{"sub/c.txt", "three\n"}, {"a.txt", "1\n"}},
                                      "postmortem: what happened");
  ASSERT_TRUE(id.ok()) << id.error().str();
  EXPECT_EQ(git(root_, "status --porcelain"), status);
  EXPECT_EQ(git(root_, "rev-parse HEAD"), head);
  EXPECT_EQ(git(root_, "rev-parse heddle/incident-0001"), *id);
  EXPECT_EQ(git(root_, "rev-parse heddle/incident-0001^"), head);
  EXPECT_EQ(git(root_, "ls-tree -r --name-only heddle/incident-0001"),
            "a.txt\nsub/b.txt\nsub/c.txt");
  EXPECT_EQ(repository_->read("heddle/incident-0001", "a.txt").value(), "1\n");
  git(root_, "fsck --strict");
}

TEST_F(GitTest, AProjectInAFolderOfARepositoryHasItsOwnPaths) {
  const auto inner = open_git(root_ + "/sub").value();
  EXPECT_EQ(inner->read("HEAD", "b.txt").value(), "two\n");
  ASSERT_TRUE(inner->commit("refs/heads/heddle/x", "HEAD", {{"c.txt", "3"}}, "m").ok());
  EXPECT_EQ(git(root_, "show heddle/x:sub/c.txt"), "3");
}

TEST_F(GitTest, OutsideARepositoryItSaysWhatToDo) {
  const heddle::fixture::Folder elsewhere;
  ::setenv("GIT_CEILING_DIRECTORIES", testing::TempDir().c_str(), 1);
  const auto opened = open_git(elsewhere.path());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().id, "git-not-found");
  EXPECT_FALSE(opened.error().hint.empty());
}

using Kind = store::Git::Entry::Kind;

TEST_F(GitTest, FollowsLinksAsFarAsTheCommitGoes) {
  // What `cat` prints in a checkout is what is read: the reference is the file system's own way
  // with links.
  git(root_, "rm -q --cached a.txt");
  const std::string link =
      "cd '" + root_ +
      "' && ln -s sub/b.txt direct && ln -s sub folder && mkdir deep && "
      "ln -s ../folder/b.txt deep/up && ln -s deep/../folder/./b.txt winding && "
      "ln -s /etc/hostname absolute && ln -s ../outside above && ln -s circle circle && "
      "ln -s nothing dangling";
  ASSERT_EQ(std::system(link.c_str()), 0);
  git(root_, "add -A");
  git(root_, "commit -q -m links");
  for (const char* path :
       {"direct", "folder/b.txt", "deep/up", "winding", "sub/../sub/b.txt", "./sub/b.txt"}) {
    const auto text = repository_->read("HEAD", path);
    ASSERT_TRUE(text.ok()) << path << ": " << text.error().str();
    EXPECT_EQ(*text, "two\n") << path;
  }
  EXPECT_EQ(repository_->read("HEAD", "absolute").error().id, "git-link-outside");
  EXPECT_EQ(repository_->read("HEAD", "above").error().id, "git-link-outside");
  EXPECT_EQ(repository_->read("HEAD", "circle").error().id, "git-file-not-found");
  EXPECT_EQ(repository_->read("HEAD", "dangling").error().id, "git-file-not-found");
  EXPECT_EQ(repository_->read("HEAD", "../outside").error().id, "git-file-not-found");
  const auto listed = repository_->list("HEAD", "folder");
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().name, "b.txt");
  EXPECT_TRUE(repository_->list("HEAD", "no-such")->empty());
  EXPECT_EQ(repository_->find("HEAD", "folder")->kind, Kind::kFolder);
}

TEST_F(GitTest, ASubmoduleHidesItsFiles) {
  const std::string other = root_ + "/other";
  ASSERT_TRUE(make_dirs(other).ok());
  git(other, "init -q");
  ASSERT_TRUE(write_file_atomic(other + "/x.yaml", "x\n").ok());
  git(other, "add -A");
  git(other, "commit -q -m other");
  git(root_, "-c advice.addEmbeddedRepo=false add other");
  git(root_, "commit -q -m submodule");
  EXPECT_EQ(repository_->read("HEAD", "other/x.yaml").error().id, "git-submodule");
  EXPECT_EQ(repository_->list("HEAD", "other").error().id, "git-submodule");
}

TEST_F(GitTest, AProjectBelowTheTopNamesItsOwnPaths) {
  const auto below = open_git(root_ + "/sub").value();
  EXPECT_EQ(*below->read("HEAD", "b.txt"), "two\n");
  EXPECT_EQ(*below->read("HEAD", "../a.txt"), "one\n");
  EXPECT_EQ(below->list("HEAD", "")->front().name, "b.txt");
  EXPECT_TRUE(*below->same_on_disk(git(root_, "rev-parse HEAD:sub/b.txt"), "b.txt"));
}

TEST_F(GitTest, AFileIsTheSameByGitsOwnFilters) {
  ASSERT_TRUE(
      write_file_atomic(root_ + "/.gitattributes", "crlf.txt text eol=crlf\n*.bin filter=lfs\n")
          .ok());
  ASSERT_TRUE(write_file_atomic(root_ + "/crlf.txt", "a\r\nb\r\n").ok());
  // A pointer as Git LFS writes it: the commit holds it, the work tree holds the content.
  const std::string content = "large\n";
  ASSERT_TRUE(
      write_file_atomic(root_ + "/model.bin",
                        fmt::format("version https://git-lfs.github.com/spec/v1\noid {}\nsize {}\n",
                                    sha256(content).str(), content.size()))
          .ok());
  git(root_, "-c filter.lfs.clean=cat -c filter.lfs.smudge=cat add -A");
  git(root_, "-c filter.lfs.clean=cat commit -q -m attributes");
  const auto blob = [&](const char* path) {
    return git(root_, std::string("rev-parse HEAD:") + path);
  };
  EXPECT_EQ(*repository_->read("HEAD", "crlf.txt"), "a\nb\n");
  EXPECT_TRUE(*repository_->same_on_disk(blob("crlf.txt"), "crlf.txt"));
  ASSERT_TRUE(write_file_atomic(root_ + "/model.bin", content).ok());
  EXPECT_TRUE(*repository_->same_on_disk(blob("model.bin"), "model.bin"));
  ASSERT_TRUE(write_file_atomic(root_ + "/model.bin", "other\n").ok());
  EXPECT_FALSE(*repository_->same_on_disk(blob("model.bin"), "model.bin"));
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "One\n").ok());
  EXPECT_FALSE(*repository_->same_on_disk(blob("a.txt"), "a.txt"));
  EXPECT_FALSE(*repository_->same_on_disk(blob("a.txt"), "gone.txt"));
  EXPECT_FALSE(*repository_->same_on_disk(blob("a.txt"), "sub"));
}

TEST_F(GitTest, AnObjectThatWasCutShortIsAnError) {
  const auto head = git(root_, "rev-parse HEAD");
  for (const char* what : {"HEAD:a.txt", "HEAD:sub", "HEAD^{tree}", "HEAD"}) {
    const auto id = git(root_, std::string("rev-parse ") + what);
    const auto file = root_ + "/.git/objects/" + id.substr(0, 2) + "/" + id.substr(2);
    const auto whole = read_file(file).value();
    for (const std::size_t length : {whole.size() - 1, whole.size() / 2, std::size_t{0}}) {
      ASSERT_TRUE(write_file_atomic(file, whole.substr(0, length)).ok());
      const auto reopened = open_git(root_).value();  // without what it has read already
      const auto read =
          reopened->read(head, std::string_view(what) == "HEAD:sub" ? "sub/b.txt" : "a.txt");
      EXPECT_FALSE(read.ok()) << what << " of " << length;
    }
    ASSERT_TRUE(write_file_atomic(file, whole).ok());
  }
  EXPECT_EQ(open_git(root_).value()->read(head, "sub/b.txt").value(), "two\n");
}

TEST_F(GitTest, ARefThatIsThereAndCannotBeReadIsNotMissing) {
  const std::string ref = "refs/heddle/anchor/x";
  const auto one = repository_->commit(ref, "", {{"checkpoint", "1"}}, "one").value();
  const auto two = repository_->commit(ref, "", {{"checkpoint", "2"}}, "two").value();
  EXPECT_EQ(repository_->resolve("refs/heddle/anchor/y").error().kind, ErrorKind::kNotFound);
  git(root_, "update-ref " + ref + " " + one);
  const auto moved = open_git(root_).value();
  EXPECT_EQ(*moved->resolve(ref), one);
  EXPECT_EQ(*moved->resolve(ref + "@{1}"), two) << "where it stood before it was moved by hand";
  ASSERT_TRUE(write_file_atomic(root_ + "/.git/" + ref, std::string(40, 'a') + "\n").ok());
  EXPECT_EQ(open_git(root_).value()->resolve(ref).error().kind, ErrorKind::kIo);
  ASSERT_TRUE(write_file_atomic(root_ + "/.git/" + ref, "x\n").ok());
  EXPECT_EQ(open_git(root_).value()->resolve(ref).error().kind, ErrorKind::kIo);
}

TEST_F(GitTest, WhatIsKeptOutlivesItsBranch) {
  const auto first = *repository_->head();
  ASSERT_TRUE(repository_->keep("refs/heddle/applied/" + first, first).ok());
  ASSERT_TRUE(repository_->keep("refs/heddle/applied/" + first, first).ok()) << "twice is once";
  EXPECT_EQ(repository_->keep("refs/heads/main", first).error().id, "git-ref-refused");
  ASSERT_TRUE(write_file_atomic(root_ + "/a.txt", "amended\n").ok());
  git(root_, "commit -q -a --amend -m amended");
  git(root_, "reflog expire --expire=now --all");
  git(root_, "gc -q --prune=now");
  EXPECT_EQ(*repository_->read(first, "a.txt"), "one\n");
  EXPECT_EQ(*repository_->resolve("HEAD"), git(root_, "rev-parse HEAD"));
  EXPECT_EQ(repository_->resolve("HEAD~5").error().id, "git-revision-not-found");
}

constexpr std::chrono::milliseconds kSoon{20};

/// As `kill -9` leaves it, or as a program holds it.
void lock_ref(const std::string& root, const std::string& ref) {
  const auto file = root + "/.git/" + ref + ".lock";
  ASSERT_TRUE(make_dirs(file.substr(0, file.find_last_of('/'))).ok());
  ASSERT_TRUE(write_file_atomic(file, "").ok());
}

TEST_F(GitTest, ALockThatAKilledProcessLeftIsRemoved) {
  const auto head = repository_->head().value();
  repository_ = open_git(root_, system_clock(), kSoon).value();
  const std::string anchor = "refs/heddle/anchor/0a1b2c3d";
  const std::string branch = "refs/heads/heddle/tiny/s/incident-0001";
  const std::string applied = "refs/heddle/applied/" + head;
  for (const char* text : {"1", "2"}) {  // for a ref that is not there yet, and for one that is
    for (const auto& ref : {anchor, branch}) {
      lock_ref(root_, ref);
      const auto made = repository_->commit(ref, "HEAD", {{"checkpoint", text}}, "m");
      ASSERT_TRUE(made.ok()) << made.error().str();
      EXPECT_EQ(git(root_, "rev-parse " + ref), *made);
      EXPECT_FALSE(path_exists(root_ + "/.git/" + ref + ".lock"));
      git(root_, "update-ref " + ref + " " + *made);
    }
  }
  lock_ref(root_, applied);
  ASSERT_TRUE(repository_->keep(applied, head).ok());
  EXPECT_EQ(git(root_, "rev-parse " + applied), head);
  git(root_, "fsck --strict");
}

TEST_F(GitTest, InAWorkTreeOfItsOwnItIsTheLockOfTheRepository) {
  git(root_, "worktree add -q '" + root_ + "-beside'");
  const auto beside = open_git(root_ + "-beside", system_clock(), kSoon).value();
  const std::string ref = "refs/heddle/anchor/0a1b2c3d";
  lock_ref(root_, ref);
  ASSERT_TRUE(beside->commit(ref, "", {{"checkpoint", "1"}}, "m").ok());
  EXPECT_FALSE(path_exists(root_ + "/.git/" + ref + ".lock"));
}

TEST_F(GitTest, ALockThatIsHeldIsWaitedFor) {
  repository_ = open_git(root_, system_clock(), std::chrono::hours(1)).value();
  const std::string ref = "refs/heddle/anchor/0a1b2c3d";
  lock_ref(root_, ref);
  std::thread writer([&] {
    const auto made = repository_->commit(ref, "", {{"checkpoint", "1"}}, "m");
    EXPECT_TRUE(made.ok()) << made.error().str();
  });
  // It has its turn now, and finds the lock.
  while (FileLock::acquire(root_ + "/.git/" + kRefTurn).ok()) std::this_thread::yield();
  ASSERT_EQ(::unlink((root_ + "/.git/" + ref + ".lock").c_str()), 0);
  writer.join();
  EXPECT_EQ(git(root_, "show " + ref + ":checkpoint"), "1");
}

TEST_F(GitTest, ALockThatCameMeanwhileIsSomebodyElses) {
  git_repository* raw = nullptr;
  ASSERT_EQ(git_repository_open(&raw, root_.c_str()), 0);
  const Repository repository(raw);
  const std::string ref = "refs/heddle/anchor/0a1b2c3d";
  const auto file = root_ + "/.git/" + ref + ".lock";
  for (const bool before : {false, true}) {
    ::unlink(file.c_str());
    if (before) lock_ref(root_, ref);  // and the one that held it gives it to another
    bool came = false;
    const auto written = write_ref(raw, ref, kSoon, [&] {
      if (!came) lock_ref(root_, ref);
      came = true;
      return GIT_ELOCKED;
    });
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().id, "git-ref-locked");
    EXPECT_NE(written.error().hint.find(ref + ".lock"), std::string::npos) << written.error().str();
    EXPECT_TRUE(path_exists(file));
  }
}

TEST_F(GitTest, ALockThatCannotBeRemovedIsNamed) {
  repository_ = open_git(root_, system_clock(), kSoon).value();
  const std::string ref = "refs/heddle/anchor/0a1b2c3d";
  ASSERT_TRUE(make_dirs(root_ + "/.git/" + ref + ".lock/x").ok());
  const auto made = repository_->commit(ref, "", {{"checkpoint", "1"}}, "m");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().id, "git-ref-locked");
  EXPECT_NE(made.error().hint.find(ref + ".lock"), std::string::npos) << made.error().str();
  EXPECT_EQ(made.error().hint.find("git fsck"), std::string::npos) << made.error().str();
}

TEST_F(GitTest, LocksOfOtherFilesKeepNothingFromItsPlace) {
  for (const char* name : {"packed-refs", "index", "HEAD", "config"})
    ASSERT_TRUE(write_file_atomic(root_ + "/.git/" + name + ".lock", "").ok());
  repository_ = open_git(root_, system_clock(), kSoon).value();
  const auto made = repository_->commit("refs/heads/heddle/x", "HEAD", {{"checkpoint", "1"}}, "m");
  ASSERT_TRUE(made.ok()) << made.error().str();
  EXPECT_TRUE(repository_->keep("refs/heddle/applied/" + *made, *made).ok());
  EXPECT_TRUE(path_exists(root_ + "/.git/packed-refs.lock")) << "it is not Heddle's to remove";
}

TEST_F(GitTest, ALineOfTheLogThatWasCutShortHidesNoOther) {
  const std::string ref = "refs/heddle/anchor/0a1b2c3d";
  const auto one = repository_->commit(ref, "", {{"checkpoint", "1"}}, "one").value();
  const auto two = repository_->commit(ref, "", {{"checkpoint", "2"}}, "two").value();
  const auto log = root_ + "/.git/logs/" + ref;
  const auto whole = read_file(log).value();
  ASSERT_TRUE(write_file_atomic(log, whole + two + " 0123").ok());  // killed in the third
  const auto three = repository_->commit(ref, "", {{"checkpoint", "3"}}, "three").value();
  std::vector<std::string> named;
  for (int i = 0; i < 3; ++i) {
    const auto before = open_git(root_).value()->resolve(fmt::format("{}@{{{}}}", ref, i));
    if (before.ok()) named.push_back(*before);
  }
  EXPECT_NE(std::find(named.begin(), named.end(), one), named.end());
  EXPECT_NE(std::find(named.begin(), named.end(), two), named.end());
  EXPECT_EQ(repository_->resolve(ref).value(), three);
}

TEST(GitFailure, SaysWhatToDoAboutTheFailureAtHand) {
  git_libgit2_init();
  const auto of = [](int klass, const char* message) {
    git_error_set_str(klass, message);
    return git_failure("write `refs/heddle/x`");
  };
  const auto full = of(GIT_ERROR_OS, "failed to write data: No space left on device");
  EXPECT_EQ(full.id, "disk-full");
  EXPECT_EQ(full.hint.rfind("free space", 0), 0U) << full.hint;
  const auto foreign = of(GIT_ERROR_OS, "failed to create locked file 'x': Permission denied");
  EXPECT_EQ(foreign.id, "git-failed");
  EXPECT_NE(foreign.hint.find("another user"), std::string::npos) << foreign.hint;
  EXPECT_NE(of(GIT_ERROR_OS, "x: Read-only file system").hint.find("reading only"),
            std::string::npos);
  EXPECT_NE(of(GIT_ERROR_OS, "x: Too many open files").hint.find("ulimit"), std::string::npos);
  EXPECT_NE(of(GIT_ERROR_CONFIG, "failed to parse config file").hint.find("git config"),
            std::string::npos);
  EXPECT_NE(of(GIT_ERROR_ODB, "object not found").hint.find("git fsck"), std::string::npos);
  for (const auto& each : {full, foreign}) EXPECT_EQ(each.kind, ErrorKind::kIo);
  git_libgit2_shutdown();
}

}  // namespace

}  // namespace heddle::adapters

namespace heddle::store {

INSTANTIATE_TEST_SUITE_P(Libgit2, GitConformance, testing::Values(adapters::make_repository));

}  // namespace heddle::store
