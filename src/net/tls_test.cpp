// TLS of listeners and client, with an authority that the test makes with the `openssl` command.
#include <filesystem>

#include "base/file.hpp"
#include "net/echo_fixture.hpp"

namespace heddle::net {
namespace {

/// A folder with two authorities and what they signed.
class Authority {
 public:
  Authority() : directory(::testing::TempDir() + fmt::format("/heddle-tls-{}", ::getpid())) {
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    root("ca");
    root("other");
    leaf("server", "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1");
    leaf("renewed", "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1");
    leaf("elsewhere", "ca", "subjectAltName=DNS:elsewhere.example");
    leaf("client", "ca", "extendedKeyUsage=clientAuth");
    leaf("stranger", "other", "extendedKeyUsage=clientAuth");
  }
  ~Authority() { std::filesystem::remove_all(directory); }
  [[nodiscard]] std::string file(std::string_view name) const {
    return fmt::format("{}/{}", directory, name);
  }
  [[nodiscard]] TlsOptions tls(std::string_view name) const {
    return {file(fmt::format("{}.pem", name)), file(fmt::format("{}.key", name)), {}};
  }

 private:
  void shell(const std::string& command) const {
    ASSERT_EQ(std::system(fmt::format("cd '{}' && {} >>log 2>&1", directory, command).c_str()), 0)
        << command;
  }
  void root(std::string_view name) const {
    shell(
        fmt::format("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
                    "{0}.key -out {0}.pem -days 2 -subj /CN={0}",
                    name));
  }
  void leaf(std::string_view name, std::string_view by, std::string_view extension) const {
    shell(
        fmt::format("echo '{3}' > {0}.ext && openssl req -newkey ec -pkeyopt "
                    "ec_paramgen_curve:P-256 -nodes -keyout {0}.key -out {0}.csr -subj /CN={0} && "
                    "openssl x509 -req -in {0}.csr -CA {1}.pem -CAkey {1}.key -CAcreateserial "
                    "-days 2 -extfile {0}.ext -out {2}.pem",
                    name, by, name, extension));
  }
  std::string directory;
};

const Authority& authority() {
  static const Authority made;
  return made;
}

HttpServer::Options with(TlsOptions tls) {
  HttpServer::Options options;
  options.tls = std::move(tls);
  return options;
}

HttpClient client_of(const Echo& echo, TlsClientOptions tls, std::string host = "localhost") {
  HttpClient::Options options;
  options.host = std::move(host);
  options.port = echo.server->port();
  options.tls = std::move(tls);
  options.timeout_ms = 5000;
  return HttpClient(std::move(options));
}

TlsClientOptions trusting() { return {authority().file("ca.pem"), {}, {}}; }

TEST(Tls, AnswersSmallAndLargeOverOneConnection) {
  Echo echo(with(authority().tls("server")));
  HttpClient client = client_of(echo, trusting());
  for (int i = 0; i < 3; ++i) {
    const auto reply = client.post("/x", "{}");
    ASSERT_TRUE(reply.ok()) << reply.error().str();
    EXPECT_EQ(reply->body, "POST /x  {}");
  }
  const std::string body(3 << 20, 'b');
  const auto large = client.post("/large", body);
  ASSERT_TRUE(large.ok()) << large.error().str();
  EXPECT_EQ(large->body.size(), (4u << 20) + std::string("POST /large  ").size() + body.size());
  EXPECT_EQ(echo.server->connections(), 1u);
  EXPECT_EQ(client_of(echo, trusting(), "127.0.0.1").get("/y")->status, 200);
}

TEST(Tls, TrustsOnlyWhomItWasTold) {
  Echo echo(with(authority().tls("server")));
  const auto other = client_of(echo, {authority().file("other.pem"), {}, {}}).get("/");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().id, "net-tls");
  EXPECT_EQ(other.error().kind, ErrorKind::kUnauthenticated);
  Echo elsewhere(with(authority().tls("elsewhere")));
  const auto name = client_of(elsewhere, trusting()).get("/");
  ASSERT_FALSE(name.ok());
  EXPECT_EQ(name.error().id, "net-tls") << name.error().str();
  EXPECT_EQ(echo.handled + elsewhere.handled, 0);
}

TEST(Tls, AsksClientsForTheirCertificates) {
  TlsOptions tls = authority().tls("server");
  tls.client_ca_file = authority().file("ca.pem");
  Echo echo(with(tls));
  const auto of = [&](std::string_view name) {
    TlsClientOptions shows = trusting();
    if (!name.empty())
      shows.cert_file = authority().tls(name).cert_file,
      shows.key_file = authority().tls(name).key_file;
    return client_of(echo, shows).get("/");
  };
  const auto good = of("client");
  ASSERT_TRUE(good.ok()) << good.error().str();
  EXPECT_EQ(good->status, 200);
  EXPECT_FALSE(of("").ok());
  EXPECT_FALSE(of("stranger").ok());
  EXPECT_EQ(echo.handled, 1);
}

TEST(Tls, AnswersPlainHttpWith400) {
  Echo echo(with(authority().tls("server")));
  const std::string answer =
      exchange(echo.server->port(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  EXPECT_EQ(echo.handled, 0);
}

TEST(Tls, EndsHandshakesThatTakeTooLong) {
  HttpServer::Options options = with(authority().tls("server"));
  options.limits.handshake_timeout_ms = 300;
  Echo echo(std::move(options));
  const int fd = raw_connect(echo.server->port());
  EXPECT_EQ(receive(fd), "");
  ::close(fd);
  EXPECT_EQ(client_of(echo, trusting()).get("/")->status, 200);
}

TEST(Tls, HalfHandshakesAreBoundedAndShutNobodyOut) {
  HttpServer::Options options = with(authority().tls("server"));
  options.limits.handshake_timeout_ms = 3'600'000;
  options.limits.handshakes = 2;
  Echo echo(std::move(options));
  const int port = echo.server->port();
  const int one = raw_connect(port), two = raw_connect(port), three = raw_connect(port);
  EXPECT_EQ(receive(one), "");  // at once: the third takes the place of the oldest
  EXPECT_EQ(client_of(echo, trusting()).get("/")->status, 200);
  EXPECT_EQ(receive(two), "");
  for (const int fd : {one, two, three}) ::close(fd);
  EXPECT_EQ(client_of(echo, trusting()).get("/")->status, 200);
}

TEST(Tls, ReloadsItsCertificateAndKeepsTheOldOneWhenItCannot) {
  const std::string cert = authority().file("live.pem"), key = authority().file("live.key");
  const auto install = [&](std::string_view name) {
    std::filesystem::copy_file(authority().tls(name).cert_file, cert,
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(authority().tls(name).key_file, key,
                               std::filesystem::copy_options::overwrite_existing);
  };
  install("elsewhere");
  Echo echo(with({cert, key, {}}));
  const auto reload = [&] {
    std::atomic<int> done{0};
    echo.server->post([&] { done = echo.server->reload_tls().ok() ? 1 : 2; });
    while (done == 0) std::this_thread::yield();
    return done == 1;
  };
  EXPECT_FALSE(client_of(echo, trusting()).get("/").ok());
  install("renewed");
  EXPECT_TRUE(reload());
  HttpClient kept = client_of(echo, trusting());
  EXPECT_TRUE(kept.get("/").ok());
  std::filesystem::copy_file(
      authority().tls("client").key_file, key,
      std::filesystem::copy_options::overwrite_existing);  // of another certificate
  EXPECT_FALSE(reload());
  EXPECT_TRUE(kept.get("/").ok());
  EXPECT_TRUE(client_of(echo, trusting()).get("/").ok());
}

TEST(Tls, ADigestOfACertificateIsWhatOpensslSays) {
  const auto& options = authority().tls("server");
  const std::string out = authority().file("fingerprint");
  ASSERT_EQ(std::system(fmt::format("openssl x509 -in '{}' -noout -fingerprint -sha256 | sed "
                                    "'s/.*=//' | tr -d ':\n' | tr A-F a-f >'{}'",
                                    options.cert_file, out)
                            .c_str()),
            0);
  const auto digest = certificate_digest(options.cert_file);
  ASSERT_TRUE(digest.ok()) << digest.error().str();
  EXPECT_EQ(digest->hex(), read_file(out).value());
  for (const auto& file : {options.key_file, authority().file("none.pem")}) {
    const auto none = certificate_digest(file);
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error().id, "net-tls-files");
  }
}

TEST(Tls, SaysWhichFileIsWrong) {
  HttpServer::Options options =
      with({authority().file("none.pem"), authority().file("server.key"), {}});
  options.host = "127.0.0.1";
  options.handler = [](const Request&, Response&) {};
  const auto server = HttpServer::open(std::move(options));
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.error().id, "net-tls-files");
  EXPECT_NE(server.error().message.find("none.pem"), std::string::npos) << server.error().message;
}

}  // namespace
}  // namespace heddle::net
