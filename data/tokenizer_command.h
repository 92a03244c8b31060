#pragma once
// `kappa tokenizer`: trains tokenizers, brings them from other formats, encodes, decodes, and shows how a text is cut.

namespace CLI {
class App;
}

namespace kappa {

void add_tokenizer_command(CLI::App& app);

}  // namespace kappa
