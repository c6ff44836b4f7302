#include "spec/ssh_key.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/encoding.hpp"

namespace heddle::spec {
namespace {

// Made by `ssh-keygen` of OpenSSH 9.2p1.
constexpr const char* kEd25519 =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFEoLjfbFhn9an147VoOEZYkQte9RyibFkgjE2v0DkMg";
constexpr const char* kRsa2048 =
    "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQDDNTAgTHs12E3Cbpz6G3Gq9AJK8/qPYt9Lt/+CBwcwPa877x1prAWZLRDOKR1k"
    "I97u+B120REsWUllNRuv55g9mpVfzV5xgu3R3YgugdPJfp3phzVoXAyhe9d4il2U9+MduzQ2vU3iRb6ZK9PZtZ3U85qs"
    "4Uwdhz1SjgkqwKPuscapY/RA7P51r7Y0htnOnHgz6jkHywIQby4Q963qSU6sK5Nd+4ur3iShnkN7fTBBe0gIGe7A1fjp"
    "FvZynInosNc4ZF1DrHHb7Nu7n7UGcCQAiaqmfV7BeUuXpuhQna1DSLaFaV2UNpJD+zjTbenBDQn4sKG3chhlq5aZ/Llv"
    "UnGn";
constexpr const char* kRsa1024 =
    "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAADAQABAAAAgQCzzPb+DEwx/s0G2wwGJDGc9EdhFZmTwvArW5WtAgKFo1SQVxD8BtXbd5XTAQ5l"
    "f+LtkWv1woluRCk+KcUwWxh2POOwncXxRlbsQaOGztKZMZawYUbzCTCalZAnwPdinHy5wZ5XmAhVQCnY3R0vW9LWvHRx"
    "6fOPztAjrbSFmH513Q==";
constexpr const char* kNistp256 =
    "ecdsa-sha2-nistp256 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPUsvpolsVPXMV/xwKWdWmatlyouzokhtV//VBOJ"
    "6rGYimbytVWafGeVV7HRxpiS6tHCRtgZ8RLyOhQ78jky5CY=";
constexpr const char* kNistp384 =
    "ecdsa-sha2-nistp384 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBHo3OHR1Ua+ITIKCe8K+teY+kSxu1RKvw7M1UByN"
    "uQQdP8U/ZxBxEgImo9hfBfgIPAqDOdhOGkkocgSTMjQtWffvxtizBfK56WT+60xaks/kk7KrS45iEsJqAJj9m4rIDg==";
constexpr const char* kNistp521 =
    "ecdsa-sha2-nistp521 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAGmkHgxtF3fSTyx1rbVj36ljKT/oAHonSx2mCZ+"
    "j3NO7JhbHbeNIYPofHXx8Uiw4cVb+VrwED0hkabZNJ6Q5ScKmQBqzqRXikPpDJAninm3Wjf7xN93OE7VfdkfDP0Nz1Gs"
    "INEnB1/prPJSuH8lRFgU70mvy192U05NOYYpt1g1mUHkjQ==";
constexpr const char* kCertificate =
    "ssh-ed25519-cert-v01@openssh.com "
    "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIEgDa+G+CaaMxtmSpbEKuLt6DqCKNNWTa54t05Gc"
    "/T7xAAAAIFEoLjfbFhn9an147VoOEZYkQte9RyibFkgjE2v0DkMg";

std::string text(std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
  return out + std::string(bytes);
}

std::string line(const std::string& type, const std::string& rest) {
  return type + " " + base64_encode(text(type) + rest);
}

std::string said(std::string_view key) {
  const auto read = ssh_public_key(key);
  if (read.ok()) return {};
  EXPECT_EQ(read.error().id, "people-key");
  EXPECT_FALSE(read.error().hint.empty());
  return read.error().message;
}

TEST(SshKey, EveryKindThatCanSignIsTaken) {
  const std::string point(32, 'x');
  for (const std::string& key :
       {std::string(kEd25519), std::string(kRsa2048), std::string(kNistp256),
        std::string(kNistp384), std::string(kNistp521),
        line("sk-ssh-ed25519@openssh.com", text(point) + text("ssh:")),
        line("sk-ecdsa-sha2-nistp256@openssh.com",
             text("nistp256") + text("\4" + point + point) + text("ssh:"))}) {
    EXPECT_EQ(said(key), "") << key;
    EXPECT_EQ(said(key + " ada@laptop of work"), "") << key;
  }
}

TEST(SshKey, OneKeyIsOneTextOfBytes) {
  const auto plain = ssh_public_key(kEd25519).value();
  EXPECT_EQ(*ssh_public_key(std::string(kEd25519) + " another comment"), plain);
  const auto key = std::string(kEd25519);
  EXPECT_EQ(*ssh_public_key("ssh-ed25519\t " + key.substr(key.find(' '))), plain);
  // Other texts of the same key are none: bits after the last byte, more bytes, a number with a
  // zero before it.
  const auto curve = std::string(kNistp256);
  ASSERT_TRUE(curve.ends_with("CY="));
  EXPECT_NE(said(curve.substr(0, curve.size() - 2) + "Z="), "");
  const auto e = text("\x01\x01"), n = text(std::string(1, '\0') + "\x80" + std::string(255, 'n'));
  EXPECT_EQ(said(line("ssh-rsa", e + n)), "");
  EXPECT_NE(said(line("ssh-rsa", e + n + text("more"))), "");
  EXPECT_NE(said(line("ssh-rsa", text(std::string(1, '\0') + "\x01\x01") + n)), "");
  EXPECT_NE(said(line("ssh-rsa", e + text(std::string(2, '\0') + "\x80" + std::string(255, 'n')))),
            "");
  EXPECT_NE(said(line("ecdsa-sha2-nistp256", text("nistp256") + text("\2" + std::string(32, 'x')))),
            "")
      << "a compressed point";
}

TEST(SshKey, WhatCannotSignSaysWhatItIs) {
  EXPECT_EQ(said(kRsa1024), "an RSA key of 1024 bits can be broken");
  EXPECT_EQ(said(kCertificate),
            "that is a certificate, and its key could stand under another name");
  EXPECT_EQ(said("ssh-dss AAAAB3NzaC1kc3M= c"), "DSA keys are not taken any more");
  EXPECT_EQ(said("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n"),
            "that is a private key, and whoever reads this file has it now");
  for (const char* before : {"cert-authority", "namespaces=\"file\"", "ada", "restrict,pty"}) {
    EXPECT_EQ(said(fmt::format("{} {}", before, kEd25519)),
              fmt::format("`{}` stands before the key", before));
  }
  EXPECT_EQ(said("ssh-xmss@openssh.com AAAA"), "`ssh-xmss@openssh.com` is no type of an SSH key");
  EXPECT_EQ(said("ecdsa-sha2-nistp224 AAAA"), "`ecdsa-sha2-nistp224` is no type of an SSH key");
  EXPECT_EQ(said(""), "`` is no type of an SSH key");
  EXPECT_EQ(said("ssh-ed25519"), "the bytes are not those of a key of type `ssh-ed25519`");
  EXPECT_EQ(said("ssh-ed25519 broken!"), "what follows its type is not base64");
  EXPECT_EQ(said(std::string(kEd25519) + " a\nssh-ed25519 AAAA"),
            "it is more than one line, or holds control characters");
  // Bytes of another type, too few, and too many.
  const auto ed = std::string(kEd25519);
  EXPECT_NE(said("ssh-rsa" + ed.substr(ed.find(' '))), "");
  EXPECT_NE(said(line("ssh-ed25519", text(std::string(31, 'x')))), "");
  EXPECT_NE(said(line("ecdsa-sha2-nistp256", text("nistp384") + text("\4" + std::string(96, 'x')))),
            "");
  EXPECT_NE(said(line("sk-ssh-ed25519@openssh.com", text(std::string(32, 'x')))), "")
      << "without its application";
}

}  // namespace
}  // namespace heddle::spec
