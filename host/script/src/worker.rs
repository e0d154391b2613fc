fn main() {
    let c = wasmtime::Config::new();
    let _ = wasmtime::Engine::new(&c);
}
