--
-- PostgreSQL database dump
--

\restrict 0KcWtjCUfGSmfMlVl75Vjz1oPnRBICdMaPQeaJxWfvWYRRijVAarszEBJlpDaPj

-- Dumped from database version 18.4
-- Dumped by pg_dump version 18.4

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: training_db_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.training_db_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: training_runs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.training_runs (
    run_id text NOT NULL COLLATE pg_catalog."C",
    wandb_run_id text COLLATE pg_catalog."C",
    wandb_url text COLLATE pg_catalog."C",
    run_name text COLLATE pg_catalog."C",
    chain_of_custody_id text COLLATE pg_catalog."C",
    config_file_path text COLLATE pg_catalog."C",
    host text COLLATE pg_catalog."C",
    instance_id text COLLATE pg_catalog."C",
    created_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    duration_seconds bigint,
    status text DEFAULT 'launched'::text NOT NULL COLLATE pg_catalog."C",
    batch_size bigint,
    learning_rate double precision,
    beta double precision,
    gradient_method text COLLATE pg_catalog."C",
    num_gpus bigint,
    num_objectives bigint,
    num_scaffolds bigint,
    config_json text,
    final_metrics_json text,
    blog_post_url text COLLATE pg_catalog."C",
    conversation_s3_key text COLLATE pg_catalog."C",
    crash_report_s3_key text COLLATE pg_catalog."C",
    error_log_s3_key text COLLATE pg_catalog."C",
    crash_analysis_s3_key text COLLATE pg_catalog."C",
    created_at_db timestamp with time zone DEFAULT now() NOT NULL,
    updated_at_db timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Data for Name: training_db_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.training_db_version VALUES ('v1');


--
-- Data for Name: training_runs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.training_runs VALUES ('plain', 'w0', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": 0.0001, "max_steps": 100, "objectives": ["QED_maximize", "SA"]}', '{"loss": 0.5, "_step": 99, "objectives/QED_maximize/raw_mean": 0.7, "x": Infinity}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.264533+00', '2026-11-21 12:27:44.264533+00');
INSERT INTO public.training_runs VALUES ('nan', 'w1', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": NaN, "batch_size": "auto"}', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.264533+00', '2026-11-21 12:27:44.264533+00');
INSERT INTO public.training_runs VALUES ('broken', 'w2', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": ', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.264533+00', '2026-11-21 12:27:44.264533+00');
INSERT INTO public.training_runs VALUES ('list', 'w3', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '[1, 2]', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.264533+00', '2026-11-21 12:27:44.264533+00');
INSERT INTO public.training_runs VALUES ('none', 'w4', NULL, NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456+00', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 12:27:44.264533+00', '2026-11-21 12:27:44.264533+00');


--
-- Name: training_runs pk_training_runs; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.training_runs
    ADD CONSTRAINT pk_training_runs PRIMARY KEY (run_id);


--
-- Name: training_db_version training_db_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.training_db_version
    ADD CONSTRAINT training_db_version_pkc PRIMARY KEY (version_num);


--
-- Name: training_runs uq_training_runs_wandb_run_id; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.training_runs
    ADD CONSTRAINT uq_training_runs_wandb_run_id UNIQUE (wandb_run_id);


--
-- PostgreSQL database dump complete
--

\unrestrict 0KcWtjCUfGSmfMlVl75Vjz1oPnRBICdMaPQeaJxWfvWYRRijVAarszEBJlpDaPj

