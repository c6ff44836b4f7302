#pragma once

namespace CLI {
class App;
}

namespace heddle::cli {

struct Invocation;

/// Of `quarantine`: show, accept, reprocess, discard.
void add_quarantine_rows(CLI::App& quarantine, Invocation& invocation);

}  // namespace heddle::cli
