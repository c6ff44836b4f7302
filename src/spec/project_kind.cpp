#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.hpp"
#include "spec/checking.hpp"
#include "spec/kinds.hpp"

namespace heddle::spec {
namespace {

/// A source as it is written with more than its path.
struct WrittenSource {
  std::vector<std::string> paths{};
  std::string format{};
  std::string delimiter{};
  std::string decimal{};
  std::optional<std::string> quote{};
  std::string escape{};
  bool header = true;
  std::vector<std::string> columns{};
  std::string encoding{};
  std::optional<std::vector<std::string>> nulls{};
};

const Schema<WrittenSource>& source_keys() {
  static const Schema<WrittenSource> table = [] {
    Schema<WrittenSource> t("Source", "where rows are, and how they are written (docs/files.md)");
    t.texts("path", &WrittenSource::paths,
            "a file, a folder, a pattern (`data/*.csv`), or a list of them")
        .required();
    t.text("format", &WrittenSource::format, "where the name of the files does not say it")
        .one_of({"csv", "ndjson", "parquet", "arrow"});
    t.text("delimiter", &WrittenSource::delimiter, "between cells: one sign, or `tab`");
    t.text("decimal", &WrittenSource::decimal, "before the fraction of a number")
        .one_of({".", ","});
    t.text("quote", &WrittenSource::quote,
           "around a cell: one sign, by default `\"`; the empty text: no cell is quoted");
    t.text("escape", &WrittenSource::escape,
           "before a quote inside a quoted cell: one sign; by default the quote is doubled");
    t.boolean("header", &WrittenSource::header,
              "false: the first line is a row; `columns` names the columns");
    t.texts("columns", &WrittenSource::columns, "names of the columns, where there is no header");
    t.text("encoding", &WrittenSource::encoding,
           "by default UTF-8, or what the file's byte order mark says")
        .one_of({"utf-8", "utf-16", "latin-1", "windows-1252"});
    t.custom(
        "nulls", Shape::kTexts,
        "cells without quotes that are missing values; by default the empty one, `NULL`, `null`",
        [](WrittenSource& into, const doc::Value& value, Reader&) {
          // An empty list counts too: then no cell stands for a missing value.
          into.nulls.emplace();
          if (value.is_string()) into.nulls->push_back(value.as_string());
          if (!value.is_array()) return;
          for (const auto& item : value.as_array()) into.nulls->push_back(item.as_string());
        });
    return t;
  }();
  return table;
}

/// Reads one entry of `sources`.
class SourceReader {
 public:
  SourceReader(Reader& reader, const doc::Value& value) : reader_(reader), value_(value) {}

  std::optional<table::Input> read() {
    if (value_.is_string()) return table::Input(value_.as_string());
    if (value_.is_array()) return several();
    if (value_.is_object()) return with_form();
    return std::nullopt;
  }

 private:
  std::optional<table::Input> several() {
    table::Input out;
    for (const auto& path : value_.as_array()) {
      if (!path.is_string()) return std::nullopt;
      out.paths.push_back(path.as_string());
    }
    return out.paths.empty() ? std::nullopt : std::optional(std::move(out));
  }

  std::optional<table::Input> with_form() {
    WrittenSource written;
    reader_.read(source_keys(), value_, &written);
    table::Input out{written.paths, {}};
    out.form.format = written.format;
    out.form.encoding = written.encoding;
    // By its name, since the sign itself cannot be seen in YAML.
    out.form.delimiter =
        written.delimiter == "tab" ? std::optional('\t') : sign("delimiter", written.delimiter);
    out.form.decimal = sign("decimal", written.decimal);
    out.form.escape = sign("escape", written.escape);
    // The empty text says that no cell is quoted; without the key the default holds.
    if (written.quote)
      out.form.quote = written.quote->empty() ? std::optional('\0') : sign("quote", *written.quote);
    out.form.names = written.columns;
    out.form.nulls = written.nulls;
    check(written, out.form);
    return out;
  }

  /// One character of ASCII, which none of the others is.
  std::optional<char> sign(std::string_view key, const std::string& text) {
    if (text.empty()) return std::nullopt;
    const auto byte = static_cast<unsigned char>(text.front());
    // Printable ASCII, or a tab.
    const bool is_sign =
        text.size() == 1 && byte < 0x80 && (byte >= 0x20 || byte == '\t') && byte != 0x7f;
    if (is_sign) return text.front();
    report(key, "source-sign", fmt::format("`{}` is one sign of ASCII, not `{}`", key, text),
           "write one sign, for example `;`");
    return std::nullopt;
  }

  void check(const WrittenSource& written, const table::Form& form) {
    if (!written.header && written.columns.empty()) {
      report("header", "source-columns", "a source without a header needs the names of its columns",
             "name them in `columns`, in the order of the cells");
    }
    // `columns` alone already says that there is no header: only `header: true` contradicts it.
    if (written.header && !written.columns.empty() && value_.find("header") != nullptr) {
      report("columns", "source-columns", "the header names the columns already",
             "leave `columns` out, or write `header: false`");
    }
    const char delimiter = form.delimiter.value_or('\0');
    const bool is_twice =
        delimiter != '\0' && (form.quote == delimiter || form.escape == delimiter);
    if (is_twice) {
      report("delimiter", "source-sign", "one sign cannot both separate cells and quote them",
             "choose another one");
    }
  }

  void report(std::string_view key, std::string id, std::string what, std::string hint) {
    const doc::Value* at = value_.find(key);
    reader_.report(at == nullptr ? value_.position() : at->position(), std::move(id),
                   std::move(what), std::move(hint));
  }

  Reader& reader_;
  const doc::Value& value_;
};

/// heddle.yaml as it is written.
struct ProjectFile {
  std::string name;
  std::vector<std::string> owners{};
  std::map<std::string, table::Input> sources{};
  std::map<std::string, doc::Position> source_positions{};
  int control_port = 8010;
  std::vector<Trigger> triggers{};
};

/// What starts it: exactly one thing.
void check_trigger(Trigger& into, const doc::Value& value, Reader& reader) {
  into.position = value.position();
  int ways = 0;
  for (const char* key : {"schedule", "new_data", "labels", "alert"})
    ways += value.find(key) != nullptr ? 1 : 0;
  if (ways != 1) {
    reader.report(
        value.position(), "bad-trigger",
        fmt::format("trigger `{}` is started by {} things, one is needed", into.name, ways),
        "give it one of `schedule`, `new_data`, `labels`, `alert`");
  }
  const auto wrong = [&](const char* key, std::string message, std::string hint) {
    reader.report(value.find(key)->position(), "bad-value", std::move(message), std::move(hint));
  };
  // No time at all, and less than none, are below it too.
  if (value.find("new_data") != nullptr && into.new_data < kSecond)
    wrong("new_data", "`new_data` is how often the source is looked at, from 1s on",
          "write for example `new_data: 10m`");
  if (value.find("alert") != nullptr && !into.alert)
    wrong("alert", "`alert: false` starts nothing", "write `alert: true`");
  if (!into.name.empty() && !is_plain_name(into.name))
    wrong("name", fmt::format("`{}` cannot be the name of a trigger", into.name),
          std::string(kPlainName));
}

const Schema<Trigger>& trigger_keys() {
  static const Schema<Trigger> table = [] {
    Schema<Trigger> t("a trigger", "when a model is trained again by itself; one of the four");
    t.text("name", &Trigger::name, "its name").required();
    t.text("model", &Trigger::model, "name of the model").required();
    t.custom("schedule", Shape::kText,
             "minute, hour, day of the month, month, day of the week, in UTC, as in a crontab",
             [](Trigger& into, const doc::Value& value, Reader& reader) {
               auto cron = Cron::parse(value.as_string());
               if (!cron.ok())
                 reader.report(value.position(), cron.error().id, cron.error().message,
                               cron.error().hint);
               else
                 into.schedule = *cron;
             });
    t.duration("new_data", &Trigger::new_data,
               "how often the model's source is looked at; other files than before start it");
    t.integer("labels", &Trigger::labels, "so many labels more that met their rows", 1);
    t.boolean("alert", &Trigger::alert,
              "an alert that opens an incident of a service of the model");
    t.boolean("refit", &Trigger::refit,
              "with what the accepted search found, the default; false: it searches");
    t.finally(check_trigger);
    return t;
  }();
  return table;
}

const Schema<ProjectFile>& project_keys() {
  static const Schema<ProjectFile> table = [] {
    Schema<ProjectFile> t("Project", "heddle.yaml: the project's name and where its data is");
    add_head(t, "Project");
    t.text("name", &ProjectFile::name, "the project's name").required();
    t.texts("owners", &ProjectFile::owners, "who answers for it");
    t.custom("sources", Shape::kMap,
             "name: where rows are, relative to the project: a file, a folder or a pattern of "
             "Parquet, Arrow IPC, CSV or NDJSON; a list of them; or an object that says how they "
             "are written (docs/files.md)",
             [](ProjectFile& into, const doc::Value& value, Reader& reader) {
               for (const auto& [name, written] : value.as_object()) {
                 auto input = SourceReader(reader, written).read();
                 if (!input) {
                   reader.report(written.position(), "wrong-type",
                                 fmt::format("source `{}` must be a path, paths, or an object "
                                             "with `path`",
                                             name),
                                 "write `NAME: data/FILE.parquet`");
                   continue;
                 }
                 into.sources[name] = *std::move(input);
                 into.source_positions[name] = written.position();
               }
             });
    t.integer("control_port", &ProjectFile::control_port, "port of the control plane")
        .between(0, kLargestPort);
    t.objects("triggers", &ProjectFile::triggers, trigger_keys(),
              "when a model is trained again by itself (docs/schedule.md)");
    return t;
  }();
  return table;
}

doc::Diagnostic source_missing(const std::string& name, const std::string& path) {
  doc::Diagnostic out;
  out.id = "source-missing";
  out.message = fmt::format("source `{}`: there is no file `{}`", name, path);
  out.hint = "put the file there, or change the path";
  return out;
}

/// Why the files of a source cannot be looked for; nullopt: they are there, or what is wrong is
/// said when they are read.
std::optional<doc::Diagnostic> source_fault(const std::string& name, const std::string& path,
                                            const std::string& root) {
  const bool is_absolute = std::filesystem::path(path).is_absolute();
  const auto parts = table::parts_of(is_absolute ? path : root + "/" + path);
  // One look is enough: a folder or a pattern gives only files that are there, a plain path itself.
  if (parts.ok() && path_exists(parts->front().path)) return std::nullopt;
  if (parts.ok() || parts.error().kind == ErrorKind::kNotFound) return source_missing(name, path);
  if (parts.error().kind != ErrorKind::kInvalid) return std::nullopt;
  doc::Diagnostic out;
  out.id = parts.error().id;
  out.message = fmt::format("source `{}`: {}", name, parts.error().message);
  out.hint = parts.error().hint;
  return out;
}

/// A commit holds no data: only the work tree's sources are looked for.
void check_sources(const ProjectFile& written, const DefinitionFile& file,
                   const std::string& root) {
  if (file.files == nullptr || !file.files->has_data()) return;
  for (const auto& [name, input] : written.sources) {
    for (const std::string& path : input.paths) {
      auto fault = source_fault(name, path, root);
      if (!fault) continue;
      fault->file = file.path;
      fault->position = written.source_positions.at(name);
      // What is marked is the path, where the entry is nothing else.
      fault->length = input.form.empty() ? static_cast<int>(path.size()) : 1;
      file.diagnostics.push_back(*std::move(fault));
    }
  }
}

class TriggerChecker : public Checking {
 public:
  explicit TriggerChecker(const Checking& all) : Checking(all) {}

  void check() {
    std::set<std::string> names;
    for (const Trigger& trigger : project_.triggers) {
      unique(std::string(kFile), names, trigger.name, trigger.position, "trigger");
      check_model(trigger);
    }
  }

  static constexpr std::string_view kFile = "heddle.yaml";

 private:
  void check_model(const Trigger& trigger) {
    const auto model = project_.models.find(trigger.model);
    if (model == project_.models.end()) {
      std::vector<std::string> there;
      for (const auto& [name, unused] : project_.models) there.push_back(name);
      const std::string near = doc::nearest(trigger.model, there);
      report(std::string(kFile), trigger.position, "unknown-name",
             fmt::format("trigger `{}`: there is no model `{}`", trigger.name, trigger.model),
             near.empty() ? fmt::format("there is `{}`", fmt::join(there, "`, `"))
                          : fmt::format("did you mean `{}`?", near));
      return;
    }
    const bool is_served =
        std::any_of(project_.services.begin(), project_.services.end(),
                    [&](const auto& service) { return service.second.model == trigger.model; });
    if ((trigger.labels > 0 || trigger.alert) && !is_served) {
      report(std::string(kFile), trigger.position, "never-starts",
             fmt::format("trigger `{}`: no service has the model `{}`, so that nobody labels or "
                         "watches it",
                         trigger.name, trigger.model),
             "use `schedule` or `new_data`, or add a service");
    }
    if (trigger.refit && model->second.runtime) {
      report(std::string(kFile), trigger.position, "never-starts",
             fmt::format("trigger `{}`: the model `{}` has a runtime, and is not trained here",
                         trigger.name, trigger.model),
             "write `refit: false` to pack and judge its files anew");
    }
  }
};

class ProjectKind final : public Kind {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "Project"; }
  [[nodiscard]] std::string_view file() const noexcept override { return TriggerChecker::kFile; }
  [[nodiscard]] const ObjectSchema& keys() const override { return project_keys(); }
  void read(const DefinitionFile& file, Project& project) const override {
    ProjectFile written;
    Reader(file.text, file.path, file.diagnostics).read(project_keys(), file.value, &written);
    check_sources(written, file, project.root);
    check_name(file, name(), written.name);
    project.name = std::move(written.name);
    project.sources = std::move(written.sources);
    project.control_port = written.control_port;
    project.triggers = std::move(written.triggers);
  }
  void check(const Checking& all) const override { TriggerChecker(all).check(); }
  void visit(const Project&, const std::function<void(const Identity&)>&) const override {}
};

}  // namespace

const Kind& project_kind() {
  static const ProjectKind kind;
  return kind;
}

}  // namespace heddle::spec
