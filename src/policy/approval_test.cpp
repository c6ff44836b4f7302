#include "policy/approval.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/encoding.hpp"
#include "base/signature.hpp"
#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "policy/ssh_key_fixture.hpp"
#include "policy/standing.hpp"

namespace heddle::policy {
namespace {

Approval sample() {
  Approval approval;
  approval.id = "approval-0001";
  approval.op_id = "op-1";
  approval.requester = "agent:recover";
  approval.action = "release.promote";
  approval.target = "service/delay";
  approval.slot = "primary";
  approval.subjects = {{"bundle", sha256("new")}, {"rollback", sha256("old")}};
  approval.evidence = {{"gates", sha256("gates")}};
  approval.policy = sha256("rules");
  approval.expires = *parse_time("2001-06-01T00:00:00Z");
  write_statement(approval, "00ff");
  return approval;
}

TEST(Statement, BindsEverythingThatIsApproved) {
  const auto approval = sample();
  const auto value = doc::parse_json(approval.statement).value();
  EXPECT_EQ(doc::to_canonical_json(value), approval.statement);
  EXPECT_EQ(value.string_or("rollback"), sha256("old").str());
  EXPECT_EQ(value.string_or("nonce"), "00ff");
  for (const char* member : {"action", "target", "slot", "subjects", "policy", "evidence_root",
                             "expires", "asked_event_time", "requester"}) {
    EXPECT_NE(value.find(member), nullptr) << member;
  }
  auto other = sample();
  other.evidence[0].digest = sha256("other");
  EXPECT_FALSE(says_statement(other));
  write_statement(other, "00ff");
  EXPECT_NE(other.statement, approval.statement);
  EXPECT_TRUE(says_statement(other));
  // Of no evidence there is no root: the hash of nothing would look like one.
  other.evidence.clear();
  write_statement(other, "00ff");
  EXPECT_EQ(doc::parse_json(other.statement)->string_or("evidence_root", "?"), "");
}

TEST(Operation, WhatIsStoredIsARecord) {
  const Operation operation{"asked", "release.promote", "service/delay", {"rule"}, sha256("rules"),
                            7,       "approval-0001"};
  doc::RecordConformance<Operation>(operation_schema(), operation).run("docs/formats/approvals.md");
}

TEST(Approval, ReadsBackAsItWasWritten) {
  auto approval = sample();
  approval.status = Approval::Status::kApproved;
  approval.needs = {{"rule", 2, "approver", kDay}};
  approval.signatures = {{"ada", "armored", 7}};
  approval.entry = 3;
  EXPECT_TRUE(approval_schema().parse(approval_schema().print(approval)).value() == approval);
  doc::RecordConformance<Approval>(approval_schema(), approval).run("docs/formats/approvals.md");
}

TEST(Signature, IsCheckedByTheRealSshKeygen) {
  const SshKey ada("ada");
  const SshKey mallory("mallory");
  const spec::Person person{"ada", {"approver"}, {ada.public_key()}};
  const auto statement = sample().statement;
  const auto good = ada.sign(statement);
  const auto checked = verify_signature(person, statement, good);
  EXPECT_TRUE(checked.ok()) << checked.error().str();
  const auto refused = [&](const spec::Person& who, std::string_view text,
                           std::string_view signature) {
    const auto result = verify_signature(who, text, signature);
    return result.ok() ? std::string("accepted") : result.error().id;
  };
  EXPECT_EQ(refused(person, statement + " ", good), "approval-signature-invalid");
  EXPECT_EQ(refused(person, statement, mallory.sign(statement)), "approval-signature-invalid");
  EXPECT_EQ(refused(person, statement, ada.sign(statement, "file")),
            "approval-signature-invalid");  // another namespace
  EXPECT_EQ(refused(person, statement, ""), "approval-signature-invalid");
  EXPECT_EQ(refused(person, statement, "not armored"), "approval-signature-invalid");
  EXPECT_EQ(refused({"ada", {}, {}}, statement, good), "approval-signature-invalid");
  EXPECT_EQ(refused({"*", {}, {ada.public_key()}}, statement, good), "approval-signature-invalid");
  EXPECT_EQ(refused({"ada", {}, {"ssh-ed25519 broken"}}, statement, good),
            "approval-signature-invalid");
}

std::string text(std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
  return out + std::string(bytes);
}

/// What `ssh-keygen -Y sign` writes with a key of a security key (OpenSSH's PROTOCOL.sshsig and
/// PROTOCOL.u2f): the device signs the digests of its application and of what is signed.
struct SecurityKey {
  Ed25519Key key = Ed25519Key::from_seed(std::string(32, '\7')).value();

  [[nodiscard]] std::string bytes() const {
    const std::string_view point(reinterpret_cast<const char*>(key.public_key.data()),
                                 key.public_key.size());
    return text("sk-ssh-ed25519@openssh.com") + text(point) + text("ssh:");
  }
  [[nodiscard]] std::string public_key() const {
    return "sk-ssh-ed25519@openssh.com " + base64_encode(bytes()) + " ada";
  }
  [[nodiscard]] std::string sign(std::string_view statement) const {
    const auto raw = [](const Digest& digest) {
      return std::string(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
    };
    const std::string about = text("heddle-approval") + text("") + text("sha256");
    const std::string is_signed = "SSHSIG" + about + text(raw(sha256(statement)));
    const std::string touched = std::string("\1", 1) + std::string("\0\0\0\1", 4);
    const std::string signature = key.sign(raw(sha256("ssh:")) + touched + raw(sha256(is_signed)));
    const std::string blob = "SSHSIG" + std::string("\0\0\0\1", 4) + text(bytes()) + about +
                             text(text("sk-ssh-ed25519@openssh.com") + text(signature) + touched);
    return "-----BEGIN SSH SIGNATURE-----\n" + base64_encode(blob) +
           "\n-----END SSH SIGNATURE-----\n";
  }
};

TEST(Signature, OfEveryKindOfKey) {
  const auto statement = sample().statement;
  for (const char* kind :
       {"-t ed25519", "-t rsa -b 2048", "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521"}) {
    const SshKey key("ada", kind);
    const spec::Person person{"ada", {"approver"}, {key.public_key()}};
    const auto good = verify_signature(person, statement, key.sign(statement));
    EXPECT_TRUE(good.ok()) << kind << ": " << good.error().str();
    EXPECT_TRUE(check_signature(statement, key.sign(statement)).ok()) << kind;
    EXPECT_FALSE(verify_signature(person, statement + " ", key.sign(statement)).ok()) << kind;
  }
  const SecurityKey key;
  const spec::Person person{"ada", {"approver"}, {key.public_key()}};
  const auto good = verify_signature(person, statement, key.sign(statement));
  EXPECT_TRUE(good.ok()) << good.error().str();
  EXPECT_FALSE(verify_signature(person, statement + " ", key.sign(statement)).ok());
}

}  // namespace
}  // namespace heddle::policy
